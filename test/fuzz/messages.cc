// Messages between the services, in protobuf.
#include "shared/wire/codec.h"
#include "test/fuzz/target.h"
#include "test/support/wire/values.h"

namespace cube::fuzz {
namespace {

constexpr std::string_view kNode = "node-a";

// ---- decisions, facts, live copies, sets, heartbeats ------------------------------------------

CUBE_FUZZ_TARGET(
    decisions,
    [](Random& random) { return wire::EncodeDecisions(testing::RandomDecisions(random)); },
    [](std::string_view bytes) {
      CheckRoundTrip(bytes, &wire::DecodeDecisions, &wire::EncodeDecisions);
    });

CUBE_FUZZ_TARGET(
    facts,
    [](Random& random) {
      FactBatch batch = testing::RandomFacts(random);
      batch.node = NodeName::Trusted(std::string(kNode));
      return wire::EncodeFacts(batch);
    },
    [](std::string_view bytes) {
      const auto decode = [](std::string_view text) { return wire::DecodeFacts(kNode, text); };
      CheckRoundTrip(bytes, decode, &wire::EncodeFacts);
    });

CUBE_FUZZ_TARGET(
    assign, [](Random& random) { return wire::EncodeAssign(testing::RandomAssign(random)); },
    [](std::string_view bytes) {
      CheckRoundTrip(bytes, &wire::DecodeAssign, &wire::EncodeAssign);
    });

CUBE_FUZZ_TARGET(
    desired, [](Random& random) { return wire::EncodeDesired(testing::RandomDesired(random)); },
    [](std::string_view bytes) {
      CheckRoundTrip(bytes, &wire::DecodeDesired, &wire::EncodeDesired);
    });

CUBE_FUZZ_TARGET(
    heartbeat,
    [](Random& random) { return wire::EncodeHeartbeat(testing::RandomHeartbeat(random)); },
    [](std::string_view bytes) {
      CheckRoundTrip(bytes, &wire::DecodeHeartbeat, &wire::EncodeHeartbeat);
    });

// ---- snapshots ----------------------------------------------------------------------------------

SnapshotCover RandomCover(Random& random) {
  SnapshotCover cover;
  cover.intents = {random.Below(1000), WallFromNanos(static_cast<std::int64_t>(random.Below(9)))};
  cover.facts = {random.Below(1000), {}};
  cover.decision = 1 + random.Below(1000);
  cover.stamp = {1 + random.Below(9), 1 + random.Below(9)};
  return cover;
}

std::string ChunkSeed(Random& random) {
  SnapshotChunk chunk;
  chunk.snapshot = 1 + random.Next() / 2;
  chunk.index = static_cast<std::uint32_t>(random.Below(3));
  for (std::uint64_t i = random.Below(4); i > 0; --i) {
    chunk.rows.push_back({static_cast<std::uint32_t>(random.Below(6)), testing::RandomToken(random),
                          testing::RandomText(random)});
  }
  return wire::EncodeSnapshotChunk(chunk);
}

std::string ManifestSeed(Random& random) {
  SnapshotManifest manifest;
  manifest.snapshot = 1 + random.Next() / 2;
  manifest.schema = 3;
  manifest.first_chunk = 7;
  manifest.chunks = 1 + static_cast<std::uint32_t>(random.Below(3));
  manifest.rows = random.Below(100);
  manifest.digest = static_cast<std::uint32_t>(random.Next());
  manifest.bytes = random.Below(100'000);
  manifest.cover = RandomCover(random);
  manifest.cluster = testing::RandomToken(random);
  manifest.manager = testing::RandomToken(random);
  if (random.Below(2) == 0) manifest.previous = SnapshotReference{5, 3, RandomCover(random)};
  return wire::EncodeSnapshotManifest(manifest);
}

CUBE_FUZZ_TARGET(snapshot_chunk, &ChunkSeed, [](std::string_view bytes) {
  CheckRoundTrip(bytes, &wire::DecodeSnapshotChunk, &wire::EncodeSnapshotChunk);
});

CUBE_FUZZ_TARGET(snapshot_manifest, &ManifestSeed, [](std::string_view bytes) {
  CheckRoundTrip(bytes, &wire::DecodeSnapshotManifest, &wire::EncodeSnapshotManifest);
});

}  // namespace
}  // namespace cube::fuzz
