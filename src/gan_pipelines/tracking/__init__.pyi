from .errors import TrackingUnavailable as TrackingUnavailable
from .tracker import MlflowTracker as MlflowTracker
