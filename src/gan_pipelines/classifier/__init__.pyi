from .config import ClassifierConfig as ClassifierConfig
from .resnet import Classifier as Classifier
from .resnet import fit_classifier as fit_classifier
