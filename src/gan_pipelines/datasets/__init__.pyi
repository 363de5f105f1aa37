from .atomic import CSVDataset as CSVDataset
from .atomic import JSONDataset as JSONDataset
from .atomic import MatplotlibDataset as MatplotlibDataset
from .generator_dataset import GeneratorDataset as GeneratorDataset
from .handles import CheckpointStoreDataset as CheckpointStoreDataset
from .handles import KeyedStoreDataset as KeyedStoreDataset
from .handles import TrackerDataset as TrackerDataset
from .pictures_dataset import PicturesDataset as PicturesDataset
