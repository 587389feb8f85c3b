"""What a backend's plugin imports: the public names of the core, and nothing else of it.

A plugin that keeps to this module and to ``flowcore.testing`` works with every flowcore of the same contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowcore.exports import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "capabilities": "CAPABILITIES",
        "checks": "effective_fail_fast effective_needs needs_and_references step_references",
        "document": "document_of from_json quoted write_yaml",
        "errors": "FlowError GoneError Problem RefusedError UnreachableError UsageError WorkflowError",
        "expressions": (
            "EvaluationError as_text evaluate references resolve resolve_text substitute unparse unparse_text"
        ),
        "hookspecs": "CONTRACT hookimpl",
        "model": (
            "Backoff Cache ConfigMapKey Container EnvFrom EnvValue MISSING Manifest Missing Mount Need Nested Output "
            "Param Python Repeat Retry Script SecretKey Step Type Volume Workflow"
        ),
        "names": "DNS_LABEL DNS_LABEL_1035 NameRule Names mangle run_id",
        "runs": "Leaf LogLine Phase Reason Rendered RunHandle RunSummary Snapshot",
        "shim": "BAD_OUTPUT function_arguments function_script step_shim step_words",
        "syntax": "Binary Expr Get Json ListOf Literal Not Ref Template Text Value",
        "units": "format_duration parse_duration parse_quantity",
        "values": "kind_of misfit",
    },
)

if TYPE_CHECKING:
    from flowcore.capabilities import CAPABILITIES
    from flowcore.checks import effective_fail_fast, effective_needs, needs_and_references, step_references
    from flowcore.document import document_of, from_json, quoted, write_yaml
    from flowcore.errors import FlowError, GoneError, Problem, RefusedError, UnreachableError, UsageError, WorkflowError
    from flowcore.expressions import (
        EvaluationError,
        as_text,
        evaluate,
        references,
        resolve,
        resolve_text,
        substitute,
        unparse,
        unparse_text,
    )
    from flowcore.hookspecs import CONTRACT, hookimpl
    from flowcore.model import (
        MISSING,
        Backoff,
        Cache,
        ConfigMapKey,
        Container,
        EnvFrom,
        EnvValue,
        Manifest,
        Missing,
        Mount,
        Need,
        Nested,
        Output,
        Param,
        Python,
        Repeat,
        Retry,
        Script,
        SecretKey,
        Step,
        Type,
        Volume,
        Workflow,
    )
    from flowcore.names import DNS_LABEL, DNS_LABEL_1035, NameRule, Names, mangle, run_id
    from flowcore.runs import Leaf, LogLine, Phase, Reason, Rendered, RunHandle, RunSummary, Snapshot
    from flowcore.shim import BAD_OUTPUT, function_arguments, function_script, step_shim, step_words
    from flowcore.syntax import Binary, Expr, Get, Json, ListOf, Literal, Not, Ref, Template, Text, Value
    from flowcore.units import format_duration, parse_duration, parse_quantity
    from flowcore.values import kind_of, misfit

__all__ = [
    "BAD_OUTPUT",
    "CAPABILITIES",
    "CONTRACT",
    "DNS_LABEL",
    "DNS_LABEL_1035",
    "MISSING",
    "Backoff",
    "Binary",
    "Cache",
    "ConfigMapKey",
    "Container",
    "EnvFrom",
    "EnvValue",
    "EvaluationError",
    "Expr",
    "FlowError",
    "Get",
    "GoneError",
    "Json",
    "Leaf",
    "ListOf",
    "Literal",
    "LogLine",
    "Manifest",
    "Missing",
    "Mount",
    "NameRule",
    "Names",
    "Need",
    "Nested",
    "Not",
    "Output",
    "Param",
    "Phase",
    "Problem",
    "Python",
    "Reason",
    "Ref",
    "RefusedError",
    "Rendered",
    "Repeat",
    "Retry",
    "RunHandle",
    "RunSummary",
    "Script",
    "SecretKey",
    "Snapshot",
    "Step",
    "Template",
    "Text",
    "Type",
    "UnreachableError",
    "UsageError",
    "Value",
    "Volume",
    "Workflow",
    "WorkflowError",
    "as_text",
    "document_of",
    "effective_fail_fast",
    "effective_needs",
    "evaluate",
    "format_duration",
    "from_json",
    "function_arguments",
    "function_script",
    "hookimpl",
    "kind_of",
    "mangle",
    "misfit",
    "needs_and_references",
    "parse_duration",
    "parse_quantity",
    "quoted",
    "references",
    "resolve",
    "resolve_text",
    "run_id",
    "step_references",
    "step_shim",
    "step_words",
    "substitute",
    "unparse",
    "unparse_text",
    "write_yaml",
]
