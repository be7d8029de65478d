// The Tensor family in one list; its parts are split by what they do to elements.
#include "passes/Lower/Tensor.h"

void burin::lower::populateTensorLowerings(Registry &registry) {
  populateTensorShapeLowerings(registry);
  populateTensorMoveLowerings(registry);
  populateTensorIndexingLowerings(registry);
  populateTensorScatterLowerings(registry);
}
