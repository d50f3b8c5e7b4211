#include "shared/store/lmdb_check.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/runtime/fd.h"
#include "shared/runtime/os_error.h"
#include "shared/store/lmdb_page.h"
#include "shared/store/record_sum.h"

namespace cube::store {
namespace {

using lmdb::Load;
using lmdb::Meta;
using lmdb::Node;
using lmdb::PageHeader;
using lmdb::Tree;

static_assert(MDB_VERSION_MAJOR == 0 && MDB_VERSION_MINOR == 9,
              "this check knows LMDB 0.9's file; read the new one's mdb.c before going on");

std::unexpected<Error> Damaged(std::string what) { return Fail(Code::kDataLoss, std::move(what)); }

std::string PageText(std::uint64_t number) { return "page " + std::to_string(number); }

// What a tree's keys and values are.
enum class TreeKind : std::uint8_t { kFree, kMain, kTable };

// Keys of a subtree: at least `low`, below `high`; a missing one is no bound.
struct Bounds {
  std::optional<std::string_view> low;
  std::optional<std::string_view> high;
};

// Counts while walking one tree, to compare with what the tree says of itself.
struct Walk {
  TreeKind kind = TreeKind::kTable;
  TableId table = 0;  // kTable only
  Tree seen;
};

class Checker {
 public:
  Checker(runtime::Fd fd, std::uint64_t file_bytes, const Schema& schema)
      : fd_(std::move(fd)), file_bytes_(file_bytes), schema_(schema) {}

  Result<LmdbFileSummary> Run();

 private:
  Result<Meta> ReadMeta(std::uint64_t slot) const;
  Result<void> ChooseMeta();
  Result<void> CheckNewestFreed(const Meta& meta) const;
  Result<void> WalkTree(const Tree& tree, TreeKind kind, TableId table);
  Result<void> WalkPage(Walk& walk, std::uint64_t number, unsigned levels_left, Bounds bounds);
  Result<void> WalkBranch(Walk& walk, const std::vector<Node>& nodes, unsigned levels_left,
                          Bounds bounds);
  Result<void> CheckOrder(const Walk& walk, const std::vector<Node>& nodes, std::size_t first,
                          const Bounds& bounds) const;
  Result<void> CheckLeafNode(Walk& walk, const Node& node);
  Result<std::string> ValueOf(Walk& walk, const Node& node);
  Result<void> TakeFreeList(const Node& node, std::string_view ids);
  Result<void> TakeTable(const Node& node);
  Result<void> WalkTables();
  Result<void> CheckFreePages() const;

  Result<std::string> ReadPages(std::uint64_t number, std::uint64_t count) const;
  Result<void> Use(std::uint64_t number, std::uint64_t count);

  runtime::Fd fd_;
  std::uint64_t file_bytes_;
  const Schema& schema_;
  std::uint64_t page_bytes_ = 0;
  std::uint64_t file_pages_ = 0;  // complete ones
  Meta meta_;
  std::vector<bool> used_;  // by page number, for the pages that the file has
  std::uint64_t used_count_ = 0;
  std::vector<std::uint64_t> free_;
  std::map<std::string, Tree, std::less<>> tables_;  // as found in the main tree
  std::uint64_t entries_ = 0;
};

Result<std::string> ReadAt(const runtime::Fd& fd, std::uint64_t offset, std::uint64_t bytes) {
  std::string buffer(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(fd.get(), buffer.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EIO) return Damaged("the disk cannot read it");
    if (got < 0) return runtime::FailErrno(errno, "reading LMDB's file");
    if (got == 0) return Damaged("it ends too early");
    done += static_cast<std::size_t>(got);
  }
  return buffer;
}

Result<Meta> Checker::ReadMeta(std::uint64_t slot) const {
  const std::uint64_t offset = slot * page_bytes_;
  CUBE_TRY(const std::string bytes, ReadAt(fd_, offset, lmdb::kPageHeaderBytes + sizeof(Meta)));
  const auto header = Load<PageHeader>(bytes);
  const auto meta = Load<Meta>(bytes, lmdb::kPageHeaderBytes);
  if (meta.magic != lmdb::kMagic) return Damaged("it is not an LMDB file");
  if (meta.version != lmdb::kDataVersion) return Damaged("it is of another version of LMDB");
  const bool sane = header.number == slot && header.flags == lmdb::kMetaPage && meta.address == 0 &&
                    meta.free.pad == page_bytes_ && meta.free.flags == lmdb::kIntegerKeys &&
                    meta.main.flags == 0 && meta.last_page >= lmdb::kMetaPages - 1 &&
                    meta.last_page < meta.map_bytes / page_bytes_;
  if (!sane) return Damaged("meta page " + std::to_string(slot) + " is damaged");
  return meta;
}

Result<void> Checker::ChooseMeta() {
  CUBE_TRY(const std::string first, ReadAt(fd_, 0, lmdb::kPageHeaderBytes + sizeof(Meta)));
  page_bytes_ = Load<Meta>(first, lmdb::kPageHeaderBytes).free.pad;
  const bool power_of_two = (page_bytes_ & (page_bytes_ - 1)) == 0;
  if (Load<Meta>(first, lmdb::kPageHeaderBytes).magic != lmdb::kMagic) {
    return Damaged("it is not an LMDB file");
  }
  if (page_bytes_ < lmdb::kPageBytesMin || page_bytes_ > lmdb::kPageBytesMax || !power_of_two) {
    return Damaged("its page size is impossible");
  }
  file_pages_ = file_bytes_ / page_bytes_;
  if (file_pages_ < lmdb::kMetaPages) return Damaged("it ends too early");
  CUBE_TRY(const Meta even, ReadMeta(0));
  CUBE_TRY(const Meta odd, ReadMeta(1));
  // A damaged number would make LMDB take the older state without a word. But transaction n goes
  // to slot n % 2, so the two differ by one (both are 0 before the first), and see below.
  const bool odd_is_newer = odd.transaction == even.transaction + 1;
  const bool even_is_newer = even.transaction == odd.transaction + 1;
  const bool unused = even.transaction == 0 && odd.transaction == 0;
  if (!(odd_is_newer && odd.transaction % 2 == 1) &&
      !(even_is_newer && even.transaction % 2 == 0) && !unused) {
    return Damaged("its two meta pages do not follow one another");
  }
  CUBE_TRY_VOID(CheckNewestFreed(even));
  CUBE_TRY_VOID(CheckNewestFreed(odd));
  meta_ = odd_is_newer ? odd : even;
  return {};
}

// Each transaction but the first replaces pages, and so its free list's newest entry bears its
// number. This holds for the older meta page too: LMDB reuses only what was free before it.
Result<void> Checker::CheckNewestFreed(const Meta& meta) const {
  if (meta.transaction < 2) return {};
  std::uint64_t number = meta.free.root;
  for (unsigned level = 0; level < lmdb::kDepthMax; ++level) {
    if (number >= file_pages_ && number <= meta.last_page) return Damaged("it ends too early");
    if (number < lmdb::kMetaPages || number > meta.last_page) break;
    CUBE_TRY(const std::string page, ReadPages(number, 1));
    const auto flags = Load<PageHeader>(page).flags;
    if (flags != lmdb::kLeafPage && flags != lmdb::kBranchPage) break;
    CUBE_TRY(const std::vector<Node> nodes, lmdb::ParseNodes(page));
    if (nodes.empty()) break;
    if (flags == lmdb::kBranchPage) {
      number = nodes.back().child;
      continue;
    }
    const std::string_view key = nodes.back().key;
    if (key.size() == sizeof(std::uint64_t) && Load<std::uint64_t>(key) == meta.transaction) {
      return {};
    }
    break;
  }
  return Damaged("the number of its last transaction is wrong");
}

Result<std::string> Checker::ReadPages(std::uint64_t number, std::uint64_t count) const {
  return ReadAt(fd_, number * page_bytes_, count * page_bytes_);
}

Result<void> Checker::Use(std::uint64_t number, std::uint64_t count) {
  if (number < lmdb::kMetaPages || number > meta_.last_page ||
      count > meta_.last_page - number + 1) {
    return Damaged("it refers to " + PageText(number) + ", which does not exist");
  }
  if (number >= file_pages_ || count > file_pages_ - number) return Damaged("it ends too early");
  for (std::uint64_t page = number; page < number + count; ++page) {
    if (used_[page]) return Damaged(PageText(page) + " is used twice");
    used_[page] = true;
  }
  used_count_ += count;
  return {};
}

Result<void> Checker::WalkTree(const Tree& tree, TreeKind kind, TableId table) {
  Walk walk{kind, table, {}};
  if (tree.root != lmdb::kNoPage) {
    if (tree.depth == 0 || tree.depth > lmdb::kDepthMax) return Damaged("a tree's depth is wrong");
    CUBE_TRY_VOID(WalkPage(walk, tree.root, tree.depth, {}));
  } else if (tree.depth != 0) {
    return Damaged("a tree has a depth and no root");
  }
  const bool same =
      walk.seen.branch_pages == tree.branch_pages && walk.seen.leaf_pages == tree.leaf_pages &&
      walk.seen.overflow_pages == tree.overflow_pages && walk.seen.entries == tree.entries;
  if (!same) return Damaged("a tree's counts are wrong");
  if (kind == TreeKind::kTable) entries_ += tree.entries;
  return {};
}

Result<void> Checker::WalkPage(Walk& walk, std::uint64_t number, unsigned levels_left,
                               Bounds bounds) {
  CUBE_TRY_VOID(Use(number, 1));
  CUBE_TRY(const std::string page, ReadPages(number, 1));
  const auto header = Load<PageHeader>(page);
  const std::uint16_t wanted = levels_left == 1 ? lmdb::kLeafPage : lmdb::kBranchPage;
  if (header.number != number || header.flags != wanted) {
    return Damaged(PageText(number) + " is not what its tree needs there");
  }
  CUBE_TRY(const std::vector<Node> nodes, lmdb::ParseNodes(page));
  if (levels_left > 1) {
    ++walk.seen.branch_pages;
    return WalkBranch(walk, nodes, levels_left, bounds);
  }
  ++walk.seen.leaf_pages;
  if (nodes.empty()) return Damaged(PageText(number) + " is an empty leaf");
  CUBE_TRY_VOID(CheckOrder(walk, nodes, 0, bounds));
  for (const Node& node : nodes) CUBE_TRY_VOID(CheckLeafNode(walk, node));
  return {};
}

Result<void> Checker::WalkBranch(Walk& walk, const std::vector<Node>& nodes, unsigned levels_left,
                                 Bounds bounds) {
  // LMDB asserts it of every branch page that it searches.
  if (nodes.size() < 2) return Damaged("a branch page has fewer than two nodes");
  // The first node's key means "everything below the second" and is never looked at.
  CUBE_TRY_VOID(CheckOrder(walk, nodes, 1, bounds));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Bounds inside = bounds;
    if (i > 0) inside.low = nodes[i].key;
    if (i + 1 < nodes.size()) inside.high = nodes[i + 1].key;
    CUBE_TRY_VOID(WalkPage(walk, nodes[i].child, levels_left - 1, inside));
  }
  return {};
}

bool Less(TreeKind kind, std::string_view a, std::string_view b) {
  if (kind != TreeKind::kFree) return a < b;
  return Load<std::uint64_t>(a) < Load<std::uint64_t>(b);
}

Result<void> Checker::CheckOrder(const Walk& walk, const std::vector<Node>& nodes,
                                 std::size_t first, const Bounds& bounds) const {
  std::optional<std::string_view> previous;
  for (std::size_t i = first; i < nodes.size(); ++i) {
    const std::string_view key = nodes[i].key;
    const bool size_fits = walk.kind == TreeKind::kFree
                               ? key.size() == sizeof(std::uint64_t)
                               : !key.empty() && key.size() <= kKeyBytesMax;
    if (!size_fits) return Damaged("a key has an impossible size");
    const bool in_order = (!previous || Less(walk.kind, *previous, key)) &&
                          (!bounds.low || !Less(walk.kind, key, *bounds.low)) &&
                          (!bounds.high || Less(walk.kind, key, *bounds.high));
    if (!in_order) return Damaged("keys are out of order");
    previous = key;
  }
  return {};
}

Result<void> Checker::CheckLeafNode(Walk& walk, const Node& node) {
  ++walk.seen.entries;
  const bool subtree = (node.flags & lmdb::kSubTree) != 0;
  if (subtree != (walk.kind == TreeKind::kMain)) return Damaged("an entry is of a wrong kind");
  if (walk.kind == TreeKind::kMain) return TakeTable(node);
  std::string apart;
  std::string_view value = node.data;
  if ((node.flags & lmdb::kBigData) != 0) {
    CUBE_TRY(apart, ValueOf(walk, node));
    value = apart;
  }
  if (walk.kind == TreeKind::kFree) return TakeFreeList(node, value);
  if (!CheckedValue(walk.table, node.key, value)) {
    return Damaged("a record of table " + schema_.table_names[walk.table] +
                   " does not match its checksum");
  }
  return {};
}

// A value that has pages of its own.
Result<std::string> Checker::ValueOf(Walk& walk, const Node& node) {
  const auto number = Load<std::uint64_t>(node.data);
  const std::uint64_t pages =
      (lmdb::kPageHeaderBytes + node.data_bytes + page_bytes_ - 1) / page_bytes_;
  if (number >= file_pages_) return Damaged("it ends too early");
  CUBE_TRY(const std::string head, ReadPages(number, 1));
  const auto header = Load<PageHeader>(head);
  // A record overwritten with a smaller one keeps its pages.
  const std::uint64_t owned = header.lower | (std::uint64_t{header.upper} << 16);
  if (header.number != number || header.flags != lmdb::kOverflowPage || owned < pages) {
    return Damaged(PageText(number) + " is not the value that an entry needs there");
  }
  CUBE_TRY_VOID(Use(number, owned));
  walk.seen.overflow_pages += owned;
  CUBE_TRY(std::string value, ReadPages(number, pages));
  value.erase(0, lmdb::kPageHeaderBytes);
  value.resize(node.data_bytes);
  return value;
}

// A list of free pages: their count, then their numbers, falling (MDB_IDL).
Result<void> Checker::TakeFreeList(const Node& node, std::string_view ids) {
  if (Load<std::uint64_t>(node.key) > meta_.transaction) {
    return Damaged("pages were freed in the future");
  }
  const std::uint64_t room = ids.size() / sizeof(std::uint64_t);
  const std::uint64_t count = room == 0 ? 0 : Load<std::uint64_t>(ids);
  if (room == 0 || count > room - 1) return Damaged("a list of free pages is cut off");
  std::uint64_t previous = meta_.last_page + 1;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const auto id = Load<std::uint64_t>(ids, i * sizeof(std::uint64_t));
    if (id < lmdb::kMetaPages || id >= previous) return Damaged("a list of free pages is wrong");
    free_.push_back(id);
    previous = id;
  }
  return {};
}

Result<void> Checker::TakeTable(const Node& node) {
  if (node.flags != lmdb::kSubTree || node.data.size() != sizeof(Tree)) {
    return Damaged("a table's entry is damaged");
  }
  const Tree tree = Load<Tree>(node.data);
  if (tree.flags != 0) return Damaged("a table is of another kind than ours");
  tables_.emplace(std::string(node.key), tree);
  return {};
}

Result<void> Checker::WalkTables() {
  // Killed between making the file and making the tables: nothing was ever in it.
  if (tables_.empty() && meta_.transaction == 0) return {};
  if (tables_.size() != schema_.table_names.size()) return Damaged("it has other tables");
  for (std::size_t i = 0; i < schema_.table_names.size(); ++i) {
    const auto found = tables_.find(schema_.table_names[i]);
    if (found == tables_.end()) return Damaged("it has no table " + schema_.table_names[i]);
    CUBE_TRY_VOID(WalkTree(found->second, TreeKind::kTable, static_cast<TableId>(i)));
  }
  return {};
}

// No page may be both free and in use, or free twice: LMDB would write over it. Pages at the end
// that were never written (allocated and given back in one transaction) must all be free.
Result<void> Checker::CheckFreePages() const {
  std::vector<bool> listed(file_pages_);
  std::uint64_t beyond = 0;
  for (const std::uint64_t id : free_) {
    if (id >= file_pages_) {
      ++beyond;
      continue;
    }
    if (used_[id] || listed[id]) return Damaged(PageText(id) + " is free and in use");
    listed[id] = true;
  }
  const std::uint64_t pages = meta_.last_page + 1;
  if (pages > file_pages_ + beyond) return Damaged("it ends too early");
  return {};
}

Result<LmdbFileSummary> Checker::Run() {
  CUBE_TRY_VOID(ChooseMeta());
  used_.resize(file_pages_);
  CUBE_TRY_VOID(WalkTree(meta_.free, TreeKind::kFree, 0));
  CUBE_TRY_VOID(WalkTree(meta_.main, TreeKind::kMain, 0));
  CUBE_TRY_VOID(WalkTables());
  CUBE_TRY_VOID(CheckFreePages());
  return LmdbFileSummary{entries_, used_count_};
}

}  // namespace

Result<LmdbFileSummary> CheckLmdbFile(const std::string& path, const Schema& schema) {
  runtime::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return runtime::FailErrno(errno, "opening '" + path + "'");
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return runtime::FailErrno(errno, "looking at '" + path + "'");
  if (!S_ISREG(info.st_mode)) return Damaged("it is not a file");
  return Checker(std::move(fd), static_cast<std::uint64_t>(info.st_size), schema).Run();
}

}  // namespace cube::store
