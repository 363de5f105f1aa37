from .config import ExportConfig as ExportConfig
from .exported_generator import CODE as CODE
from .exported_generator import REQUIREMENTS as REQUIREMENTS
from .exported_generator import ExportedGenerator as ExportedGenerator
from .exported_generator import compare_scores as compare_scores
from .exported_generator import export_generator as export_generator
