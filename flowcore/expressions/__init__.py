"""The expression language: parse, write, type, evaluate, and the texts that hold expressions.

``params.rows > 10 && steps.probe.outputs.state in ["new", "old"]`` is an expression; ``"to ${{ params.city }}"`` is a
text with one in it. The trees are in ``flowcore.syntax``.
"""

from flowcore.expressions.evaluating import EvaluationError, as_text, evaluate, resolve, resolve_text
from flowcore.expressions.inference import TypeMismatch, fits, type_of, type_of_json
from flowcore.expressions.lexer import ExpressionError
from flowcore.expressions.parser import parse_condition, parse_expression, parse_text
from flowcore.expressions.rewriting import constant, constant_value, references, substitute
from flowcore.expressions.writing import unparse, unparse_text

__all__ = [
    "EvaluationError",
    "ExpressionError",
    "TypeMismatch",
    "as_text",
    "constant",
    "constant_value",
    "evaluate",
    "fits",
    "parse_condition",
    "parse_expression",
    "parse_text",
    "references",
    "resolve",
    "resolve_text",
    "substitute",
    "type_of",
    "type_of_json",
    "unparse",
    "unparse_text",
]
