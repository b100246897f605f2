"""Reads and writes images; nothing else does. Outside: files; inside: `Image` records.

Whatever cannot be read, used or written raises an `ImageError`: what was given, why it is wrong, what would work.
"""

from __future__ import annotations

from n2n_ablate.images.gather import Gathered as Gathered
from n2n_ablate.images.gather import gather as gather
from n2n_ablate.images.image import Image as Image
from n2n_ablate.images.image import Metadata as Metadata
from n2n_ablate.images.image import ValueRange as ValueRange
from n2n_ablate.images.pixels import to_pixels as to_pixels
from n2n_ablate.images.sources import BUILTIN as BUILTIN
from n2n_ablate.images.sources import Reading as Reading
from n2n_ablate.images.sources import builtin as builtin
from n2n_ablate.images.sources import builtin_names as builtin_names
from n2n_ablate.images.sources import collect as collect
from n2n_ablate.images.sources import files_of as files_of
from n2n_ablate.images.sources import images_of as images_of
from n2n_ablate.images.sources import open_stack as open_stack
from n2n_ablate.images.sources import pages as pages
from n2n_ablate.images.sources import read as read
from n2n_ablate.images.sources import stack as stack
from n2n_ablate.images.write import SUFFIXES as SUFFIXES
from n2n_ablate.images.write import check_writable as check_writable
from n2n_ablate.images.write import write as write
from n2n_ablate.images.write import write_images as write_images
