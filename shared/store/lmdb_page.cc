#include "shared/store/lmdb_page.h"

#include <algorithm>

namespace cube::store::lmdb {
namespace {

constexpr std::size_t kOffsetBytes = sizeof(std::uint16_t);

std::unexpected<Error> Damaged(std::uint64_t page, const char* what) {
  return Fail(Code::kDataLoss, "page " + std::to_string(page) + " " + what);
}

std::size_t RoundedUp(std::size_t bytes) { return (bytes + 1) & ~std::size_t{1}; }

// One node at `offset`; its size in the page goes to `bytes`. nullopt if it leaves the page.
std::optional<Node> ParseNode(std::string_view page, std::size_t offset, bool leaf,
                              std::size_t& bytes) {
  if (offset + kNodeHeaderBytes > page.size()) return std::nullopt;
  const auto low = Load<std::uint16_t>(page, offset);
  const auto high = Load<std::uint16_t>(page, offset + 2);
  const auto flags = Load<std::uint16_t>(page, offset + 4);
  const auto key_bytes = Load<std::uint16_t>(page, offset + 6);
  Node node;
  std::size_t inline_bytes = 0;
  if (leaf) {
    if ((flags & ~(kBigData | kSubTree)) != 0) return std::nullopt;
    node.flags = flags;
    node.data_bytes = low | (std::uint64_t{high} << 16);
    inline_bytes = (flags & kBigData) != 0 ? sizeof(std::uint64_t) : node.data_bytes;
  } else {
    node.child = low | (std::uint64_t{high} << 16) | (std::uint64_t{flags} << 32);
  }
  bytes = RoundedUp(kNodeHeaderBytes + key_bytes + inline_bytes);
  if (offset + bytes > page.size()) return std::nullopt;
  node.key = page.substr(offset + kNodeHeaderBytes, key_bytes);
  node.data = page.substr(offset + kNodeHeaderBytes + key_bytes, inline_bytes);
  return node;
}

}  // namespace

Result<std::vector<Node>> ParseNodes(std::string_view page) {
  const auto header = Load<PageHeader>(page);
  const bool leaf = header.flags == kLeafPage;
  const bool shape = header.lower >= kPageHeaderBytes && header.lower <= header.upper &&
                     header.upper <= page.size() &&
                     (header.lower - kPageHeaderBytes) % kOffsetBytes == 0;
  if (!shape) return Damaged(header.number, "has impossible bounds");
  const std::size_t count = (header.lower - kPageHeaderBytes) / kOffsetBytes;
  std::vector<Node> nodes;
  nodes.reserve(count);
  std::vector<std::pair<std::size_t, std::size_t>> extents;  // offset, size
  extents.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t offset = Load<std::uint16_t>(page, kPageHeaderBytes + i * kOffsetBytes);
    std::size_t bytes = 0;
    auto node = ParseNode(page, offset, leaf, bytes);
    if (!node) return Damaged(header.number, "has a node outside of it");
    nodes.push_back(*node);
    extents.emplace_back(offset, bytes);
  }
  std::sort(extents.begin(), extents.end());
  std::size_t expected = header.upper;
  for (const auto& [offset, bytes] : extents) {
    if (offset != expected) return Damaged(header.number, "has nodes over one another");
    expected = offset + bytes;
  }
  if (expected != page.size()) return Damaged(header.number, "does not end with its last node");
  return nodes;
}

}  // namespace cube::store::lmdb
