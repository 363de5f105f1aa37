from .config import DatasetConfig as DatasetConfig
from .errors import BadImage as BadImage
from .errors import DatasetUnusable as DatasetUnusable
from .image_set import ImageSet as ImageSet
from .prepare import bytes_to_prepare as bytes_to_prepare
from .prepare import prepare_image_set as prepare_image_set
from .sources import ImageSource as ImageSource
from .sources import open_source as open_source
