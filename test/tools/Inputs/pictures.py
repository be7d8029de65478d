"""usage: pictures.py FOLDER make | same A.png B.png | boxes DRAWN.png   A picture and models over it; what was drawn."""
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper
from PIL import Image

if sys.argv[2] == "make":
    folder = sys.argv[1]
    picture = np.random.RandomState(0).randint(0, 256, (24, 32, 3)).astype(np.uint8)
    Image.fromarray(picture).save(f"{folder}/photo.png")
    def save(name, nodes, outputs, weights=()):
        graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("image", T.FLOAT, [1, 3, 24, 32])], outputs, list(weights))
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], ir_version=9), f"{folder}/{name}.onnx")
    save("same", [h.make_node("Relu", ["image"], ["y"])], [h.make_tensor_value_info("y", T.FLOAT, [1, 3, 24, 32])])
    boxes = numpy_helper.from_array(np.array([[0.25, 0.25, 0.75, 0.5]], np.float32), "b")
    save("boxes", [h.make_node("ReduceMean", ["image"], ["m"], keepdims=0), h.make_node("Mul", ["m", "zero"], ["z"]), h.make_node("Add", ["b", "z"], ["boxes"])],
         [h.make_tensor_value_info("boxes", T.FLOAT, [1, 4])], [boxes, numpy_helper.from_array(np.array(0, np.float32), "zero")])
    save("number", [h.make_node("ReduceMean", ["image"], ["m"])], [h.make_tensor_value_info("m", T.FLOAT, [1, 1, 1, 1])])
elif sys.argv[2] == "same":
    a, b = (np.asarray(Image.open(f)).astype(int) for f in sys.argv[3:5])
    print("largest difference", np.abs(a - b).max())
else:
    drawn = np.asarray(Image.open(sys.argv[3]))
    green = (drawn == [0, 220, 60]).all(2)
    rows, columns = np.nonzero(green)
    print("box", columns.min(), rows.min(), columns.max(), rows.max())
