"""The extra `research`: packages of training and measuring, which a plain installation does without."""

from importlib.util import find_spec

from ...common.errors import PipelineError


def need_research(*modules: str) -> None:
    """Raises PipelineError, with the command that mends it, unless all modules are installed; imports none of them.

    To be asked before long work, and where the modules are imported.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise PipelineError(f"this needs {' and '.join(missing)}: pip install 'dynstream[research]'")
