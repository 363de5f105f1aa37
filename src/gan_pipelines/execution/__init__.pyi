from .pool import count_workers as count_workers
from .pool import run_all as run_all
