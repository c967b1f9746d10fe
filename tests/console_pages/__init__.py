"""The console's pages about calls, tools, the trail, tokens and notifications, asked over HTTP."""
