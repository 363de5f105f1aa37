from .curves import Figure as Figure
from .curves import plot_losses as plot_losses
from .grids import make_class_grid as make_class_grid
from .grids import make_image_grid as make_image_grid
