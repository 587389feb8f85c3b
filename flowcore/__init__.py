"""flowcore: one workflow, any runtime. Users write ``import flowcore as flow``."""
