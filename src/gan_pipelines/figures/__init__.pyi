from .arms import plot_arm_curves as plot_arm_curves
from .arms import plot_arms as plot_arms
from .curves import Figure as Figure
from .curves import plot_losses as plot_losses
from .curves import plot_scores_by_epoch as plot_scores_by_epoch
from .grids import make_class_grid as make_class_grid
from .grids import make_image_grid as make_image_grid
from .grids import make_neighbour_grid as make_neighbour_grid
