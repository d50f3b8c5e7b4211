// The layout of LMDB 0.9 data files (version 1), as plain values. See lmdb_check.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::store::lmdb {

inline constexpr std::uint32_t kMagic = 0xBEEFC0DE;
inline constexpr std::uint32_t kDataVersion = 1;
inline constexpr std::uint64_t kNoPage = ~std::uint64_t{0};  // the root of an empty tree
inline constexpr std::uint64_t kMetaPages = 2;
inline constexpr std::uint16_t kDepthMax = 32;  // CURSOR_STACK
inline constexpr std::size_t kPageHeaderBytes = 16;
inline constexpr std::size_t kNodeHeaderBytes = 8;
inline constexpr std::size_t kPageBytesMin = 512;
inline constexpr std::size_t kPageBytesMax = 32768;  // MAX_PAGESIZE is 0x8000

// Page flags (P_*).
inline constexpr std::uint16_t kBranchPage = 0x01;
inline constexpr std::uint16_t kLeafPage = 0x02;
inline constexpr std::uint16_t kOverflowPage = 0x04;
inline constexpr std::uint16_t kMetaPage = 0x08;
// Node flags (F_*).
inline constexpr std::uint16_t kBigData = 0x01;
inline constexpr std::uint16_t kSubTree = 0x02;
// Tree flags (md_flags).
inline constexpr std::uint16_t kIntegerKeys = 0x08;

// MDB_db: one tree.
struct Tree {
  std::uint32_t pad = 0;  // of the free list's tree: the page size
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t branch_pages = 0;
  std::uint64_t leaf_pages = 0;
  std::uint64_t overflow_pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = kNoPage;
};
static_assert(sizeof(Tree) == 48);

// MDB_meta: one of the file's two starting points.
struct Meta {
  std::uint32_t magic = 0;
  std::uint32_t version = 0;
  std::uint64_t address = 0;
  std::uint64_t map_bytes = 0;
  Tree free;
  Tree main;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};
static_assert(sizeof(Meta) == 136);

// MDB_page's first 16 bytes.
struct PageHeader {
  std::uint64_t number = 0;
  std::uint16_t pad = 0;
  std::uint16_t flags = 0;
  std::uint16_t lower = 0;  // overflow pages: lower and upper are one count of pages
  std::uint16_t upper = 0;
};
static_assert(sizeof(PageHeader) == kPageHeaderBytes);

struct Node {
  std::uint16_t flags = 0;       // leaf pages
  std::uint64_t child = 0;       // branch pages
  std::uint64_t data_bytes = 0;  // leaf pages: of the value, wherever it is
  std::string_view key;
  std::string_view data;  // leaf pages: the value, or the number of its overflow page
};

// A little-endian or big-endian number as this machine writes it; LMDB files are not portable.
template <class T>
[[nodiscard]] T Load(std::string_view bytes, std::size_t offset = 0) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The nodes of a branch or leaf page of exactly `page.size()` bytes; views into `page`. kDataLoss
// unless they lie inside the page, behind one another, up to its end.
[[nodiscard]] Result<std::vector<Node>> ParseNodes(std::string_view page);

}  // namespace cube::store::lmdb
