"""Tools of the fixture that ask whoever calls them: what the suite's scenarios about input call.

Not here: its other tools (``fixture``), and what waits for a person (``waiting``).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from toolgate import Content, Form, NeedsInput, Roots, Sample, TextBlock, Tool, ToolContext, tool

asks: Final[dict[str, Any]] = {
    "effect": "read",
    "roles": {"suite"},
    "timeout": 30.0,
    "raises": {NeedsInput},
}
Questions = dict[str, Form | Sample | Roots]
NAME: Final = Form("What is your name?", {"name": {"type": "string", "maxLength": 100}})
GREETING: Final = Sample("Generate a greeting", max_tokens=50)


def _said(text: str) -> Content:
    return Content(content=[TextBlock(text=text)])


@tool(**asks)
async def test_input_required_result_elicitation(context: ToolContext[Any]) -> Content:
    """Greet the user by their name."""
    if "user_name" not in context.answers:
        raise NeedsInput({"user_name": NAME})
    return _said(f"Hello, {context.answers['user_name'].content.get('name')}!")


@tool(**asks)
async def test_input_required_result_request_state(context: ToolContext[Any]) -> Content:
    """Answer once the user has said something, by a state that comes back unchanged."""
    if "confirm" not in context.answers:
        raise NeedsInput({"confirm": Form("Please confirm", {"ok": {"type": "boolean"}})})
    return _said("state-ok")


@tool(**asks)
async def test_input_required_result_sampling(context: ToolContext[Any]) -> Content:
    """Ask the client's model."""
    if "capital_question" not in context.answers:
        raise NeedsInput({"capital_question": Sample("What is the capital of France?", max_tokens=100)})
    return _said(context.answers["capital_question"].content.get("text", ""))


@tool(**asks)
async def test_input_required_result_list_roots(context: ToolContext[Any]) -> Content:
    """Say which folders the client works in."""
    if "client_roots" not in context.answers:
        raise NeedsInput({"client_roots": Roots()})
    roots = context.answers["client_roots"].content.get("roots", [])
    return _said(", ".join(root["uri"] for root in roots))


@tool(**asks)
async def test_input_required_result_multiple_inputs(context: ToolContext[Any]) -> Content:
    """Ask three things at once."""
    wanted: Questions = {"user_name": NAME, "greeting": GREETING, "client_roots": Roots()}
    if missing := {key: each for key, each in wanted.items() if key not in context.answers}:
        raise NeedsInput(missing)
    return _said("all answered")


@tool(**asks)
async def test_input_required_result_multi_round(context: ToolContext[Any]) -> Content:
    """Ask one thing, and then another."""
    if "step1" not in context.answers:
        raise NeedsInput({"step1": Form("Step 1: What is your name?", {"name": {"type": "string"}})})
    if "step2" not in context.answers:
        raise NeedsInput(
            {"step2": Form("Step 2: What is your favorite color?", {"color": {"type": "string"}})}
        )
    return _said("both answered")


@tool(**asks)
async def test_input_required_result_capabilities(context: ToolContext[Any]) -> Content:
    """Ask only for what the client can show."""
    wanted: Questions = {"user_name": NAME, "greeting": GREETING, "client_roots": Roots()}
    missing = {
        key: each
        for key, each in wanted.items()
        if each.kind in context.can_ask and key not in context.answers
    }
    if missing:
        raise NeedsInput(missing)
    return _said("nothing more to ask")


@tool(**asks)
async def test_missing_capability(context: ToolContext[Any]) -> Content:
    """Ask the client's model, whether or not the client has said that there is one."""
    if "sample" not in context.answers:
        raise NeedsInput({"sample": GREETING})
    return _said("sampled")


@tool(**asks)
async def test_sampling(
    context: ToolContext[Any], prompt: Annotated[str, Field(min_length=1, max_length=1000)]
) -> Content:
    """Ask the client's model what the caller says."""
    if "sample" not in context.answers:
        raise NeedsInput({"sample": Sample(prompt, max_tokens=100)})
    return _said(f"LLM response: {context.answers['sample'].content.get('text')}")


DEFAULTS: Final = Form(
    "Please review these.",
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
)
_PLAIN: Final = ["option1", "option2", "option3"]
_TITLED: Final = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
ENUMS: Final = Form(
    "Please choose.",
    {
        "untitledSingle": {"type": "string", "enum": _PLAIN},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _PLAIN}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    },
)


@tool(**asks)
async def test_elicitation_sep1034_defaults(context: ToolContext[Any]) -> Content:
    """Show a form whose fields have defaults."""
    return _completed(context, DEFAULTS)


@tool(**asks)
async def test_elicitation_sep1330_enums(context: ToolContext[Any]) -> Content:
    """Show a form with each kind of choice."""
    return _completed(context, ENUMS)


def _completed(context: ToolContext[Any], form: Form) -> Content:
    if "form" not in context.answers:
        raise NeedsInput({"form": form})
    answer = context.answers["form"]
    return _said(f"Elicitation completed: action={answer.action}, content={dict(answer.content)}")


ASKING: Final[list[Tool[Any, Any]]] = [each for each in globals().values() if isinstance(each, Tool)]
