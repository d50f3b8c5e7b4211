// Snapshots of the view as they lie in CUBE_SNAPSHOTS.
#include <gtest/gtest.h>

#include "shared/base/random.h"
#include "shared/wire/codec.h"

namespace cube::wire {
namespace {

std::string RandomBytes(Random& random, std::uint64_t size_min) {
  std::string bytes(size_min + random.Below(40), '\0');
  for (char& c : bytes) c = static_cast<char>(random.Below(256));
  return bytes;
}

Position RandomPosition(Random& random) {
  return {random.Next() >> 1, WallFromNanos(static_cast<std::int64_t>(random.Next() >> 2)),
          static_cast<std::uint32_t>(random.Below(3))};
}

SnapshotCover RandomCover(Random& random) {
  return {RandomPosition(random),
          RandomPosition(random),
          1 + random.Below(1'000'000),
          {random.Next() | 1, 1 + random.Below(1000)}};
}

SnapshotChunk RandomChunk(Random& random) {
  SnapshotChunk chunk;
  chunk.snapshot = random.Next() | 1;
  chunk.index = static_cast<std::uint32_t>(random.Below(100));
  for (std::uint64_t i = random.Below(5); i > 0; --i) {
    chunk.rows.push_back({static_cast<std::uint32_t>(random.Below(32)), RandomBytes(random, 1),
                          RandomBytes(random, 0)});
  }
  return chunk;
}

SnapshotManifest RandomManifest(Random& random) {
  SnapshotManifest manifest;
  manifest.snapshot = random.Next() | 1;
  manifest.schema = static_cast<std::uint32_t>(random.Below(100));
  manifest.first_chunk = 1 + random.Below(1000);
  manifest.chunks = static_cast<std::uint32_t>(1 + random.Below(1000));
  manifest.rows = random.Next();
  manifest.digest = static_cast<std::uint32_t>(random.Next());
  manifest.bytes = random.Next();
  manifest.cover = RandomCover(random);
  manifest.cluster = "c1";
  manifest.manager = "m1";
  manifest.decided_at = WallFromNanos(static_cast<std::int64_t>(random.Next() >> 2));
  if (random.Below(2) == 0) {
    const std::uint64_t first = 1 + random.Below(1000);
    manifest.previous = SnapshotReference{first + 1 + random.Below(10), first, RandomCover(random)};
  }
  return manifest;
}

TEST(Snapshots, ComeBackAsTheyWere) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    const SnapshotChunk chunk = RandomChunk(random);
    const auto chunk_back = DecodeSnapshotChunk(EncodeSnapshotChunk(chunk));
    ASSERT_TRUE(chunk_back) << seed << ": " << chunk_back.error().Text();
    ASSERT_EQ(*chunk_back, chunk) << seed;
    const SnapshotManifest manifest = RandomManifest(random);
    const auto manifest_back = DecodeSnapshotManifest(EncodeSnapshotManifest(manifest));
    ASSERT_TRUE(manifest_back) << seed << ": " << manifest_back.error().Text();
    ASSERT_EQ(*manifest_back, manifest) << seed;
  }
}

// What is accepted after damage is still something that can be written again.
TEST(Snapshots, DamageIsAnErrorOrAnotherValue) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Random random(seed);
    const bool of_chunk = random.Below(2) == 0;
    std::string bytes = of_chunk ? EncodeSnapshotChunk(RandomChunk(random))
                                 : EncodeSnapshotManifest(RandomManifest(random));
    for (std::uint64_t i = 1 + random.Below(4); i > 0; --i) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size()));
    if (const auto chunk = DecodeSnapshotChunk(bytes)) {
      EXPECT_EQ(*DecodeSnapshotChunk(EncodeSnapshotChunk(*chunk)), *chunk) << seed;
    }
    if (const auto manifest = DecodeSnapshotManifest(bytes)) {
      EXPECT_EQ(*DecodeSnapshotManifest(EncodeSnapshotManifest(*manifest)), *manifest) << seed;
    }
  }
}

TEST(Snapshots, ErrorsNameTheField) {
  Random random(1);
  const auto field_of_chunk = [&](const SnapshotChunk& chunk) {
    return DecodeSnapshotChunk(EncodeSnapshotChunk(chunk)).error().field;
  };
  EXPECT_EQ(field_of_chunk({0, 0, {}}), "snapshot");
  EXPECT_EQ(field_of_chunk({1, 0, {{1, "k", "v"}, {32, "k", "v"}}}), "rows[1].table");
  EXPECT_EQ(field_of_chunk({1, 0, {{1, "", "v"}}}), "rows[0].key");

  const auto field_of = [&](auto change) {
    SnapshotManifest manifest = RandomManifest(random);
    manifest.previous = SnapshotReference{5, 4, RandomCover(random)};
    change(manifest);
    return DecodeSnapshotManifest(EncodeSnapshotManifest(manifest)).error().field;
  };
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.snapshot = 0; }), "snapshot");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.first_chunk = 0; }), "first_chunk");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.chunks = 0; }), "chunks");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.cover.decision = 0; }), "cover.decision");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.cover.stamp = {}; }), "cover.stamp");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.cluster = std::string(300, 'x'); }), "cluster");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.previous->first_chunk = 5; }),
            "previous.first_chunk");
  EXPECT_EQ(field_of([](SnapshotManifest& m) { m.previous->cover.decision = 0; }),
            "previous.cover.decision");
}

TEST(Snapshots, TheDigestIsOfAllPayloadsInTheirOrder) {
  EXPECT_EQ(SnapshotDigest(0, "123456789"), 0xcbf43926U) << "CRC-32: other versions read it";
  const std::uint32_t whole = SnapshotDigest(0, "abcdef");
  EXPECT_EQ(SnapshotDigest(SnapshotDigest(0, "abc"), "def"), whole);
  EXPECT_EQ(SnapshotDigest(SnapshotDigest(SnapshotDigest(0, "abc"), ""), "def"), whole);
  EXPECT_NE(SnapshotDigest(SnapshotDigest(0, "def"), "abc"), whole);
  EXPECT_EQ(whole, 0x4b8e39efU) << "CRC-32 as zip files have it";
}

}  // namespace
}  // namespace cube::wire
