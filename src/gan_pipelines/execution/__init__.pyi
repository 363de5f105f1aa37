from .config import ExecutionConfig as ExecutionConfig
from .engines import check_engine as check_engine
from .engines import run_all as run_all
from .engines import runs_here as runs_here
from .errors import EngineUnavailable as EngineUnavailable
