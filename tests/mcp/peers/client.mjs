// The official TypeScript clients, version 1 and version 2, as one command.
//
//   node client.mjs <folder of node_modules> <what to do, as JSON>
//
// What to do: {sdk: 1 | 2, mode: "auto" | "legacy", url, headers} or {sdk, mode, command, args, env, cwd}, and
// {calls: [{name, arguments, _meta}]}. It prints one JSON document: the protocol that was agreed upon, the server, the
// tools, and of each call its result or error, and the progress that was heard on the way.

import { createRequire } from "node:module";

const [, , folder, given] = process.argv;
const asked = JSON.parse(given);
const require = createRequire(`${folder}/`);

function parts() {
  if (asked.sdk === 1) {
    const sdk = "@modelcontextprotocol/sdk/client";
    return {
      ...require(`${sdk}/index.js`),
      ...require(`${sdk}/streamableHttp.js`),
      ...require(`${sdk}/stdio.js`),
    };
  }
  return { ...require("@modelcontextprotocol/client"), ...require("@modelcontextprotocol/client/stdio") };
}

const { Client, StreamableHTTPClientTransport, StdioClientTransport } = parts();

function transport() {
  if (asked.url) {
    return new StreamableHTTPClientTransport(new URL(asked.url), { requestInit: { headers: asked.headers ?? {} } });
  }
  const { command, args, env, cwd } = asked;
  return new StdioClientTransport({ command, args, cwd, env: { ...process.env, ...env }, stderr: "inherit" });
}

const options = asked.sdk === 1 ? {} : { versionNegotiation: { mode: asked.mode ?? "auto" } };
const client = new Client({ name: "toolgate-tests", version: "1" }, options);
const way = transport();
let protocol;
const keep = way.setProtocolVersion?.bind(way);
way.setProtocolVersion = (version) => {
  protocol = version;
  keep?.(version);
};
await client.connect(way);

async function answer(call) {
  const heard = [];
  const told = call.progress ? { onprogress: (step) => heard.push(step) } : {};
  const params = { name: call.name, arguments: call.arguments, ...(call._meta ? { _meta: call._meta } : {}) };
  try {
    // The second parameter of version 1 is the schema of the result.
    const result = asked.sdk === 1 ? client.callTool(params, undefined, told) : client.callTool(params, told);
    return { result: await result, heard };
  } catch (error) {
    return { error: { code: error.code, message: error.message, name: error.constructor.name }, heard };
  }
}

const { tools } = await client.listTools();
const answers = [];
for (const call of asked.calls ?? []) answers.push(await answer(call));
const server = client.getServerVersion();
await client.close();
console.log(JSON.stringify({ protocol: protocol ?? client.getNegotiatedProtocolVersion?.(), server, tools, answers }));
