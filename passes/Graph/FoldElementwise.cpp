// Elementwise folding with numpy broadcasting, fast enough for weights: 25 M elements take well under a second. Blocks
// of a thousand elements are loaded into one of four computing types, run through one plain loop, and stored; so an
// operator is written once for all element types and f16 needs no code of its own. f16 and bf16 compute in float and
// round once. It must not fold what ONNX leaves undefined (integer division by zero).
#include "passes/Graph/Fold.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <functional>

using namespace mlir;

namespace burin::graph {
namespace {

template <typename T> using Kernel = std::function<void(ArrayRef<const T *>, T *, int64_t)>;

template <typename T, typename F> Kernel<T> unary(F f) {
  return [f](ArrayRef<const T *> in, T *out, int64_t n) {
    const T *a = in[0];
    for (int64_t i = 0; i < n; ++i)
      out[i] = f(a[i]);
  };
}

// Also folds a longer list from the left: Sum, Min, Max.
template <typename T, typename F> Kernel<T> binary(F f) {
  return [f](ArrayRef<const T *> in, T *out, int64_t n) {
    const T *a = in[0];
    if (in.size() == 1)
      std::copy(a, a + n, out);
    for (size_t k = 1; k < in.size(); ++k, a = out) {
      const T *b = in[k];
      for (int64_t i = 0; i < n; ++i)
        out[i] = f(a[i], b[i]);
    }
  };
}

// Integers wrap as the hardware's do; signed overflow in C++ would be undefined.
template <typename T> using Wrapping = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;
template <typename T> T add(T a, T b) { return T(Wrapping<T>(a) + Wrapping<T>(b)); }
template <typename T> T sub(T a, T b) { return T(Wrapping<T>(a) - Wrapping<T>(b)); }
template <typename T> T mul(T a, T b) { return T(Wrapping<T>(a) * Wrapping<T>(b)); }
template <typename T> T div(T a, T b) {
  if constexpr (std::is_same_v<T, int64_t>)
    return b == -1 ? sub<T>(0, a) : a / b;
  else
    return a / b;
}
// NaN wins, as in ONNX's reference.
template <typename T> T least(T a, T b) { return a != a ? a : b != b ? b : std::min(a, b); }
template <typename T> T most(T a, T b) { return a != a ? a : b != b ? b : std::max(a, b); }

template <typename T> T modulo(T a, T b, bool fmod) {
  if constexpr (std::is_floating_point_v<T>) {
    T r = std::fmod(a, b);
    return !fmod && r != 0 && (r < 0) != (b < 0) ? r + b : r;
  } else if constexpr (std::is_same_v<T, int64_t>) {
    if (b == -1)
      return 0;
    T r = a % b;
    return !fmod && r != 0 && (r < 0) != (b < 0) ? r + b : r;
  } else {
    return a % b;
  }
}

template <typename T> T power(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return T(std::pow(double(a), double(b)));
  } else {
    if (std::is_signed_v<T> && b < T(0))
      return a == T(1) ? T(1) : a == T(-1) ? (b % 2 ? T(-1) : T(1)) : T(0);
    T result = 1;
    for (; b; b /= 2, a = mul(a, a))
      if (b % 2)
        result = mul(result, a);
    return result;
  }
}

template <typename T> Kernel<T> arithmetic(StringRef name) {
  return llvm::StringSwitch<Kernel<T>>(name)
      .Cases({"Add", "Sum"}, binary<T>(add<T>))
      .Case("Sub", binary<T>(sub<T>))
      .Case("Mul", binary<T>(mul<T>))
      .Case("Div", binary<T>(div<T>))
      .Case("Min", binary<T>(least<T>))
      .Case("Max", binary<T>(most<T>))
      .Case("Pow", binary<T>(power<T>))
      .Case("Equal", binary<T>([](T a, T b) { return T(a == b); }))
      .Case("Less", binary<T>([](T a, T b) { return T(a < b); }))
      .Case("LessOrEqual", binary<T>([](T a, T b) { return T(a <= b); }))
      .Case("Greater", binary<T>([](T a, T b) { return T(a > b); }))
      .Case("GreaterOrEqual", binary<T>([](T a, T b) { return T(a >= b); }))
      .Case("And", binary<T>([](T a, T b) { return T(a != 0 && b != 0); }))
      .Case("Or", binary<T>([](T a, T b) { return T(a != 0 || b != 0); }))
      .Case("Xor", binary<T>([](T a, T b) { return T((a != 0) != (b != 0)); }))
      .Case("Not", unary<T>([](T a) { return T(a == 0); }))
      .Case("Neg", unary<T>([](T a) {
              if constexpr (std::is_floating_point_v<T>)
                return -a;
              else
                return sub<T>(0, a);
            }))
      .Case("Abs", unary<T>([](T a) {
              if constexpr (std::is_floating_point_v<T>)
                return std::abs(a);
              else
                return std::is_signed_v<T> && a < T(0) ? sub<T>(0, a) : a;
            }))
      .Case("Sign", unary<T>([](T a) { return a > T(0)              ? T(1)
                                              : a == T(0) || a != a ? a
                                                                    : T(-1); }))
      .Case("Relu", unary<T>([](T a) { return a < T(0) ? T(0) : a; }))
      .Case("Where",
            [](ArrayRef<const T *> in, T *out, int64_t n) {
              for (int64_t i = 0; i < n; ++i)
                out[i] = in[0][i] != T(0) ? in[1][i] : in[2][i];
            })
      .Default(nullptr);
}

// Through double: float results are then rounded correctly in all but a vanishing share of cases.
template <typename T> Kernel<T> transcendental(StringRef name) {
  using F = double (*)(double);
  F f = llvm::StringSwitch<F>(name)
            .Case("Sqrt", [](double x) { return std::sqrt(x); })
            .Case("Reciprocal", [](double x) { return 1 / x; })
            .Case("Floor", [](double x) { return std::floor(x); })
            .Case("Ceil", [](double x) { return std::ceil(x); })
            .Case("Round", [](double x) { return std::nearbyint(x); })
            .Case("Exp", [](double x) { return std::exp(x); })
            .Case("Log", [](double x) { return std::log(x); })
            .Case("Sin", [](double x) { return std::sin(x); })
            .Case("Cos", [](double x) { return std::cos(x); })
            .Case("Tanh", [](double x) { return std::tanh(x); })
            .Case("Erf", [](double x) { return std::erf(x); })
            .Case("Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); })
            .Default(nullptr);
  if (!f)
    return nullptr;
  return unary<T>([f](T x) { return T(f(double(x))); });
}

template <typename T> Kernel<T> kernelOf(Operation *op, StringRef name) {
  if (auto mod = dyn_cast_or_null<onnx::ModOp>(op)) {
    bool fmod = mod.getFmod() != 0;
    return binary<T>([fmod](T a, T b) { return modulo(a, b, fmod); });
  }
  if (name == "Cast")
    return unary<T>([](T a) { return a; });
  if (name == "Clip") {
    // Absent bounds are left out of the operand list; which one is present is known from the operator.
    bool low = !onnx::isNone(op->getOperand(1)), high = !onnx::isNone(op->getOperand(2));
    return [low, high](ArrayRef<const T *> in, T *out, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        T x = in[0][i];
        if (low)
          x = std::max(x, in[1][i]);
        if (high)
          x = std::min(x, in[1 + low][i]);
        out[i] = x;
      }
    };
  }
  if (Kernel<T> kernel = arithmetic<T>(name))
    return kernel;
  if constexpr (std::is_floating_point_v<T>)
    return transcendental<T>(name);
  return nullptr;
}

// One operand of a broadcast walk: its element bytes and a stride (in elements) for each collapsed result dim.
struct Stream {
  Number number;
  const char *data;
  unsigned width;
  SmallVector<int64_t> strides;
};

struct Walk {
  SmallVector<int64_t> sizes;
  SmallVector<Stream> streams;
};

// Adjacent dims along which every operand either broadcasts or runs on become one, so that a per-channel scale of a
// weight is two loops and equal shapes are one.
std::optional<Walk> plan(ArrayRef<const Literal *> operands, ArrayRef<int64_t> shape) {
  Walk walk;
  int64_t rank = shape.size();
  SmallVector<SmallVector<int64_t>> strides;
  for (const Literal *literal : operands) {
    ArrayRef<int64_t> dims = literal->type.getShape();
    if (int64_t(dims.size()) > rank)
      return std::nullopt;
    SmallVector<int64_t> stride(rank, 0);
    int64_t run = 1;
    for (int64_t i = dims.size() - 1, j = rank - 1; i >= 0; --i, --j) {
      if (dims[i] != shape[j] && dims[i] != 1)
        return std::nullopt;
      stride[j] = dims[i] == 1 || literal->splat ? 0 : run;
      run *= dims[i];
    }
    strides.push_back(std::move(stride));
    walk.streams.push_back(Stream{numberOf(literal->type.getElementType()),
                                  literal->bytes.data(),
                                  byteWidth(literal->type.getElementType()),
                                  {}});
  }
  for (int64_t d = 0; d < rank; ++d) {
    if (shape[d] == 1)
      continue;
    bool merges = !walk.sizes.empty();
    for (size_t k = 0; k < strides.size() && merges; ++k)
      merges = walk.streams[k].strides.back() == strides[k][d] * shape[d];
    if (merges)
      walk.sizes.back() *= shape[d];
    else
      walk.sizes.push_back(shape[d]);
    for (size_t k = 0; k < strides.size(); ++k) {
      if (merges)
        walk.streams[k].strides.back() = strides[k][d];
      else
        walk.streams[k].strides.push_back(strides[k][d]);
    }
  }
  if (walk.sizes.empty()) {
    walk.sizes.push_back(1);
    for (Stream &stream : walk.streams)
      stream.strides.push_back(0);
  }
  return walk;
}

template <typename T> void run(const Walk &walk, const Kernel<T> &kernel, Number out, unsigned outWidth, char *to) {
  constexpr int64_t block = 1024;
  size_t rank = walk.sizes.size(), count = walk.streams.size();
  int64_t inner = walk.sizes.back();
  int64_t outer = 1;
  for (int64_t size : ArrayRef(walk.sizes).drop_back())
    outer *= size;
  std::vector<T> buffers((count + 1) * block);
  SmallVector<const T *> in;
  for (size_t k = 0; k < count; ++k)
    in.push_back(&buffers[k * block]);
  T *result = &buffers[count * block];
  SmallVector<int64_t> index(rank, 0), offset(count, 0);
  for (int64_t row = 0; row < outer; ++row) {
    for (int64_t at = 0; at < inner; at += block) {
      int64_t n = std::min(block, inner - at);
      for (size_t k = 0; k < count; ++k) {
        const Stream &s = walk.streams[k];
        int64_t stride = s.strides.back();
        load(s.number, s.data + (offset[k] + at * stride) * s.width, stride == 0, &buffers[k * block], n);
      }
      kernel(in, result, n);
      store(out, result, to, n);
      to += n * outWidth;
    }
    for (int64_t d = int64_t(rank) - 2; d >= 0; --d) {
      ++index[d];
      for (size_t k = 0; k < count; ++k)
        offset[k] += walk.streams[k].strides[d];
      if (index[d] < walk.sizes[d])
        break;
      for (size_t k = 0; k < count; ++k)
        offset[k] -= walk.streams[k].strides[d] * walk.sizes[d];
      index[d] = 0;
    }
  }
}

bool isOfFamily(StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"Add", "Sum", "Sub", "Mul", "Div", "Min", "Max", "Pow"}, true)
      .Cases({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"}, true)
      .Cases({"Not", "Neg", "Abs", "Sign", "Relu", "Where", "Mod", "Cast"}, true)
      .Cases({"Clip", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Exp", "Log"}, true)
      .Cases({"Sin", "Cos", "Tanh", "Erf", "Sigmoid"}, true)
      .Default(false);
}

// The type to compute in: the widest any operand or (for Cast) nothing but the operand asks for.
enum class Domain { Float, Double, Signed, Unsigned };
Domain domainOf(ArrayRef<const Literal *> operands, StringRef name, Number result) {
  bool isDouble = false, anyFloat = false, isUnsigned = false;
  for (auto [i, literal] : llvm::enumerate(operands)) {
    Number n = numberOf(literal->type.getElementType());
    if (name == "Where" && i == 0)
      continue;
    anyFloat |= isFloat(n);
    isDouble |= n == Number::F64;
    isUnsigned |= n == Number::U64;
  }
  if (name == "Cast" && anyFloat)
    isDouble |= result == Number::F64;
  // Pow may mix float and integers; double holds what either needs.
  if (name == "Pow" && anyFloat)
    return Domain::Double;
  return isDouble ? Domain::Double : anyFloat ? Domain::Float : isUnsigned ? Domain::Unsigned : Domain::Signed;
}

std::optional<Literal> evaluate(Operation *op, StringRef name, ArrayRef<const Literal *> operands,
                                RankedTensorType type) {
  Number out = numberOf(type.getElementType());
  if (out == Number::None || operands.empty())
    return std::nullopt;
  bool splat = true;
  for (const Literal *literal : operands) {
    if (numberOf(literal->type.getElementType()) == Number::None)
      return std::nullopt;
    // One element is as good as a splat.
    splat &= literal->splat || literal->count() == 1;
  }
  Domain domain = domainOf(operands, name, out);
  if ((name == "Div" || name == "Mod") && (domain == Domain::Signed || domain == Domain::Unsigned)) {
    Literal divisor = *operands[1];
    if (divisor.splat)
      divisor = reshaped(divisor, RankedTensorType::get({1}, divisor.type.getElementType()));
    auto divisors = integers(divisor);
    if (!divisors || llvm::is_contained(*divisors, 0))
      return std::nullopt;
  }
  std::optional<Walk> walk = plan(operands, splat ? ArrayRef<int64_t>() : type.getShape());
  if (splat && !walk) {
    // Splats of any rank: one element of each, no shape.
    walk.emplace();
    walk->sizes.push_back(1);
    for (const Literal *literal : operands)
      walk->streams.push_back(Stream{numberOf(literal->type.getElementType()), literal->bytes.data(), 0, {0}});
  }
  if (!walk)
    return std::nullopt;
  char *data;
  Literal result = makeLiteral(type, splat, data);
  if (type.getNumElements() == 0)
    return result;
  unsigned width = byteWidth(type.getElementType());
  auto in = [&](auto tag) {
    using T = decltype(tag);
    Kernel<T> kernel = kernelOf<T>(op, name);
    if (kernel)
      run<T>(*walk, kernel, out, width, data);
    return bool(kernel);
  };
  bool done = false;
  switch (domain) {
  case Domain::Float:
    done = in(float());
    break;
  case Domain::Double:
    done = in(double());
    break;
  case Domain::Signed:
    done = in(int64_t());
    break;
  case Domain::Unsigned:
    done = in(uint64_t());
    break;
  }
  return done ? std::optional<Literal>(result) : std::nullopt;
}

} // namespace

std::optional<Literal> foldElementwise(Operation *op, ArrayRef<std::optional<Literal>> operands,
                                       RankedTensorType result) {
  StringRef name = onnx::getOpType(op);
  if (!onnx::getDomain(op).empty() || !isOfFamily(name))
    return std::nullopt;
  SmallVector<const Literal *> present;
  for (const std::optional<Literal> &operand : operands)
    if (operand)
      present.push_back(&*operand);
  return evaluate(op, name, present, result);
}

std::optional<Literal> foldBinary(StringRef op, const Literal &a, const Literal &b, RankedTensorType result) {
  return evaluate(nullptr, op, {&a, &b}, result);
}

} // namespace burin::graph
