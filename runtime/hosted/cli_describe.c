/* --describe, --help, --version: what the program says of itself. */
#include "runtime/hosted/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>

#ifndef BURIN_VERSION
#define BURIN_VERSION "unknown"
#endif

static const char *size_text(char *buffer, size_t size, uint64_t bytes) {
  if (bytes < 1024)
    snprintf(buffer, size, "%" PRIu64 " bytes", bytes);
  else if (bytes < 1024 * 1024)
    snprintf(buffer, size, "%.1f KiB", (double)bytes / 1024);
  else
    snprintf(buffer, size, "%.1f MiB", (double)bytes / (1024 * 1024));
  return buffer;
}

static void describe_tensors(const char *title, const burin_tensor_info *infos, uint32_t count) {
  printf("%s:\n", title);
  for (uint32_t i = 0; i < count; ++i) {
    char type[400], size[32];
    uint64_t bytes = burin_bytes_of(infos[i].dtype, infos[i].rank, infos[i].dims);
    printf("  '%s' %s  %s\n", infos[i].name,
           burin_type_text(type, sizeof type, infos[i].dtype, infos[i].rank, infos[i].dims, infos[i].dim_names),
           bytes == UINT64_MAX ? "of free size" : size_text(size, sizeof size, bytes));
  }
}

static void describe_weights(const burin_model *model) {
  char text[32];
  uint64_t source = 0, packed = 0;
  for (uint32_t i = 0; i < model->num_weights; ++i) {
    source += model->weight_table[i].source_bytes;
    packed += model->weight_table[i].encoding == BURIN_PACKED;
  }
  printf("weights: %" PRIu64 " bytes (%s) in %" PRIu32 " tensors, %" PRIu64 " of them packed", model->weights_bytes,
         size_text(text, sizeof text, model->weights_bytes), model->num_weights, packed);
  if (source)
    printf("; %.3f times the %" PRIu64 " bytes of the source", (double)model->weights_bytes / (double)source, source);
  if (model->flags & BURIN_CODED_WEIGHTS)
    printf("; stored in %" PRIu64 " bytes, decoded at load", burin_stored_weights_bytes(model));
  if (model->flags & BURIN_LOCKED_WEIGHTS)
    printf("; encrypted");
  printf("\n");
}

static void describe_variants(const burin_model *model) {
  static const struct {
    uint64_t bit;
    const char *name;
  } FEATURES[] = {{BURIN_CPU_AVX2_FMA, "avx2+fma"},      {BURIN_CPU_AVX512, "avx512"},
                  {BURIN_CPU_AVX512_VNNI, "avx512vnni"}, {BURIN_CPU_AVX_VNNI, "avxvnni"},
                  {BURIN_CPU_ARM_DOTPROD, "dotprod"},    {BURIN_CPU_ARM_I8MM, "i8mm"},
                  {BURIN_CPU_ARM_FP16, "fp16"}};
  const burin_variant *chosen = burin_select_variant(model);
  printf("variants:\n");
  for (uint32_t i = 0; i < model->num_variants; ++i) {
    const burin_variant *variant = &model->variants[i];
    uint64_t unnamed = variant->features;
    printf("  %s, needs", variant->target);
    for (size_t f = 0; f < sizeof FEATURES / sizeof *FEATURES; ++f)
      if (variant->features & FEATURES[f].bit) {
        printf(" %s", FEATURES[f].name);
        unnamed &= ~FEATURES[f].bit;
      }
    printf("%s%s\n",
           unnamed             ? " features unknown here"
           : variant->features ? ""
                               : " nothing special",
           variant == chosen ? "; runs on this CPU" : "");
  }
  if (!chosen)
    printf("  none of them runs on this CPU\n");
}

void burin_cli_describe(const burin_cli *cli) {
  const burin_model *model = cli->model;
  char text[32];
  printf("model: %s\n", model->name);
  describe_tensors("inputs", model->inputs, model->num_inputs);
  describe_tensors("outputs", model->outputs, model->num_outputs);
  printf("arena: %" PRIu64 " bytes (%s)", model->arena_bytes, size_text(text, sizeof text, model->arena_bytes));
  if (model->peak_live_bytes)
    printf("; %.3f times the %" PRIu64 " bytes that live at once",
           (double)model->arena_bytes / (double)model->peak_live_bytes, model->peak_live_bytes);
  printf("%s\n", model->plan ? "; as much as the inputs' dims ask for, here all free ones 1" : "");
  if (model->flags & BURIN_NEEDS_ALLOCATOR)
    printf("memory: allocates what only a run's data can size\n");
  describe_weights(model);
  uint64_t flops = 0;
  for (uint32_t i = 0; i < model->num_layers; ++i)
    flops += model->layers[i].flops;
  printf("layers: %" PRIu32 ", %.4g GFLOP a run\n", model->num_layers, (double)flops / 1e9);
  describe_variants(model);
  printf("manifest: %s\n", model->manifest ? model->manifest : "{}");
}

void burin_cli_version(const burin_cli *cli) {
  printf("%s: model '%s', made by Burin %s, ABI %u\n", cli->name, cli->model->name, BURIN_VERSION, BURIN_ABI_VERSION);
}

void burin_cli_help(const burin_cli *cli) {
  const burin_model *model = cli->model;
  const char *name = cli->name, *input = model->num_inputs ? model->inputs[0].name : "NAME";
  printf("usage: %s [--inputs X.npz | --input NAME=F.npy]... [flags]\n"
         "Runs the model '%s', compiled by Burin.\n"
         "\n"
         "  --inputs X.npz         inputs by name, as numpy.savez writes them\n"
         "  --input NAME=F.npy     one input, as numpy.save writes it; may be repeated\n"
         "  --region [NAME=]WxH+X+Y  the part of the frame that is taken, of a model compiled with region=run\n"
         "  --outputs Y.npz        where to write the outputs; without it a summary is printed\n"
         "  --expect Z.npz         compare the outputs with these; exit 1 if they differ\n"
         "  --rtol R, --atol A     differs: |got - expected| > A + R * |expected|  (1e-3, 1e-5)\n"
         "  --bench[=SECONDS]      time runs (1 s); the last line printed is JSON. Without inputs: made-up ones\n"
         "  --profile[=F.json]     a line a layer: ms, GFLOP/s, GB/s, share of what the machine can do, measured; "
         "F.json: a\n"
         "                         Chrome trace with the same numbers, - for standard output\n"
         "  --profile-layer N      the same of layer N alone\n"
         "  --threads N            threads to compute with (%d)\n"
         "  --self-test            does this machine compute what it should? (of programs compiled with --self-test)\n"
         "  --key FILE|env:NAME    what opens the weights of programs compiled with --encrypt (env:BURIN_KEY)\n"
         "  --describe             inputs, outputs, memory, variants and how the model was made\n"
         "  --version, --help\n"
         "\n"
         "examples:\n"
         "  %s --describe\n"
         "  %s --inputs in.npz --outputs out.npz\n"
         "  %s --input '%s=picture.npy' --expect reference.npz --rtol 1e-4\n"
         "  %s --bench=2 --threads 2\n"
         "  %s --inputs in.npz --profile=trace.json\n",
         name, model->name, cli->options.threads, name, name, name, input, name, name);
}
