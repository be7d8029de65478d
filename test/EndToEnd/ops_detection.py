"""Cases of the Detection family: regions of interest, deformed convolutions, positions of maxima."""
import numpy as np
from ops_cases import Cases, i64

CASES = case = Cases(37)
f, u = case.f, case.u

rois = np.array([[0, 0, 9, 9], [1.3, 2.1, 6.7, 8.8], [-3, 4, 14, 6], [5, 5, 5.2, 5.1]], np.float32)
for mode in ("avg", "max"):
    for frame in ("half_pixel", "output_half_pixel"):
        tag = f"roialign_{mode}_{frame}"
        # A maximum starts from 0 weights outside the image, a mean does not: positive images keep to what all agree on.
        case(tag, "RoiAlign", u(2, 3, 10, 11), rois, i64(0, 1, 1, 0), mode=mode, coordinate_transformation_mode=frame, output_height=3,
             output_width=4, sampling_ratio=2)
case("roialign_adaptive", "RoiAlign", f(2, 3, 10, 11), rois[:3], i64(0, 1, 1), output_height=2, output_width=3, spatial_scale=0.75,
     coordinate_transformation_mode="output_half_pixel")
case("maxroipool", "MaxRoiPool", u(2, 3, 8, 8), np.array([[0, 0, 0, 7, 7], [1, 2, 1, 5, 6], [1, 3, 3, 3, 3]], np.float32), pooled_shape=[2, 3])
case("maxroipool_scale", "MaxRoiPool", u(1, 2, 6, 9), np.array([[0, 1, 2, 15, 11]], np.float32), pooled_shape=[3, 3], spatial_scale=0.5)

offset = u(2, 18, 5, 6, low=-1.5, high=1.5)
case("deformconv", "DeformConv", f(2, 4, 7, 8), f(3, 4, 3, 3), offset, f(3))
case("deformconv_mask", "DeformConv", f(2, 4, 7, 8), f(3, 4, 3, 3), offset, None, u(2, 9, 5, 6), const=[1])
case("deformconv_groups", "DeformConv", f(1, 4, 6, 6), f(6, 2, 2, 2), u(1, 16, 3, 4, low=-1), f(6), group=2, offset_group=2, strides=[2, 1],
     pads=[0, 0, 1, 1], dilations=[1, 3], kernel_shape=[2, 2])

case("maxpool_indices", "MaxPool", f(2, 3, 6, 7), outputs=2, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
case("maxpool_indices_columns", "MaxPool", f(1, 2, 6, 5), outputs=2, kernel_shape=[2, 2], storage_order=1, dilations=[2, 1])
case("maxpool_indices_1d", "MaxPool", f(2, 3, 9), outputs=2, kernel_shape=[3], strides=[2])
case("maxpool_indices_i8", "MaxPool", case.ints(1, 2, 4, 4, dtype=np.int8), outputs=2, kernel_shape=[2, 2], strides=[2, 2])
case("maxunpool", "MaxUnpool", f(1, 1, 2, 2), i64(5, 7, 13, 15).reshape(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
case("maxunpool_shape", "MaxUnpool", f(1, 1, 2, 2), i64(5, 7, 13, 15).reshape(1, 1, 2, 2), i64(1, 1, 5, 5), const=[2], kernel_shape=[2, 2],
     strides=[2, 2])
