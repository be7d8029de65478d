// Remarks as people read them, and pipelines as lists.
#include "lib/Pipeline/Explain.h"

#include "lib/Support/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <mutex>

using namespace mlir;
using namespace burin;

namespace {
class Collector : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Collector(std::shared_ptr<RemarkLog> log) : log(std::move(log)) {}
  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    StringRef type = remark.getRemarkTypeString();
    RemarkEntry entry;
    entry.kind = type.contains("Passed")   ? RemarkEntry::Passed
                 : type.contains("Missed") ? RemarkEntry::Missed
                                           : RemarkEntry::Other;
    entry.pass = remark.getCombinedCategoryName();
    entry.rewrite = remark.getRemarkName().str();
    entry.where = describeLocation(remark.getLocation());
    entry.function = remark.getFunction().str();
    for (const auto &arg : remark.getArgs()) {
      bool isText = arg.key == "Remark" || arg.key == "Reason";
      if (!isText)
        entry.text += (entry.text.empty() ? "" : ", ") + arg.key + " ";
      entry.text += arg.val;
    }
    std::lock_guard<std::mutex> lock(mutex); // kernels are lowered by several threads
    log->entries.push_back(std::move(entry));
  }

private:
  std::shared_ptr<RemarkLog> log;
  std::mutex mutex;
};

// FuseConvBn -> fuse-conv-bn
std::string dashed(StringRef name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i && llvm::isUpper(name[i]) &&
        (!llvm::isUpper(name[i - 1]) || (i + 1 < name.size() && llvm::isLower(name[i + 1]))))
      text += '-';
    text += llvm::toLower(name[i]);
  }
  return text;
}

bool isAsked(StringRef asked, StringRef pass) {
  std::string flag = dashed(pass);
  return asked == "all" || asked == pass || asked == flag || asked.ends_with("-" + flag);
}
} // namespace

std::shared_ptr<RemarkLog> burin::collectRemarks(MLIRContext &context) {
  auto log = std::make_shared<RemarkLog>();
  // Setting only RemarkCategories::all would enable nothing.
  remark::RemarkCategories categories{std::nullopt, ".*", ".*", ".*", ".*"};
  (void)remark::enableOptimizationRemarks(context, std::make_unique<Collector>(log),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
  return log;
}

void burin::printExplanation(const RemarkLog &log, ArrayRef<std::string> passes, llvm::raw_ostream &out) {
  for (StringRef asked : passes) {
    llvm::MapVector<StringRef, SmallVector<const RemarkEntry *>> byPass;
    for (const RemarkEntry &entry : log.entries)
      if (isAsked(asked, entry.pass))
        byPass[entry.pass].push_back(&entry);
    if (byPass.empty())
      out << asked << ": nothing that looks like what it matches, or no such pass ran (burin-opt --list-pipelines)\n";
    for (auto &[pass, entries] : byPass) {
      unsigned fired = 0;
      llvm::MapVector<StringRef, unsigned> kinds;
      llvm::SmallVector<std::string> misses;
      llvm::StringSet<> seen;
      for (const RemarkEntry *e : entries) {
        if (e->kind == RemarkEntry::Passed)
          ++fired, ++kinds[e->rewrite];
        if (e->kind != RemarkEntry::Missed)
          continue;
        // A pass that runs several times says the same each time.
        std::string line = e->where + ": " + e->rewrite + ": " + e->text;
        if (seen.insert(line).second)
          misses.push_back(line);
      }
      out << pass << ": fired " << fired << (fired == 1 ? " time" : " times");
      for (auto &[kind, count] : kinds)
        out << (&kind == &kinds.front().first ? " (" : ", ") << kind << " " << count;
      out << (kinds.empty() ? "" : ")") << ", " << misses.size() << (misses.size() == 1 ? " near miss" : " near misses")
          << "\n";
      for (const std::string &line : misses)
        out << "  " << line << "\n";
    }
  }
}

llvm::json::Array burin::toJson(const RemarkLog &log) {
  llvm::MapVector<StringRef, std::pair<llvm::json::Array, llvm::json::Array>> byPass;
  llvm::StringSet<> seen;
  for (const RemarkEntry &e : log.entries) {
    auto &[fired, missed] = byPass[e.pass];
    if (e.kind == RemarkEntry::Passed)
      fired.push_back(llvm::json::Object{{"node", e.where}, {"rewrite", e.rewrite}});
    if (e.kind == RemarkEntry::Missed && seen.insert(e.pass + e.where + e.rewrite + e.text).second)
      missed.push_back(llvm::json::Object{{"node", e.where}, {"rewrite", e.rewrite}, {"reason", e.text}});
  }
  llvm::json::Array array;
  for (auto &[pass, both] : byPass)
    if (!both.first.empty() || !both.second.empty())
      array.push_back(
          llvm::json::Object{{"pass", pass}, {"fired", std::move(both.first)}, {"missed", std::move(both.second)}});
  return array;
}

void burin::printPasses(OpPassManager &pm, llvm::raw_ostream &out) {
  unsigned number = 0;
  for (Pass &pass : pm.getPasses()) {
    StringRef flag = pass.getArgument(), why = pass.getDescription();
    out << llvm::formatv("  {0,3} {1,-34} {2}\n", ++number, flag.empty() ? pass.getName() : flag, why);
  }
}
