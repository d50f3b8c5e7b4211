// No bytes from outside crash a decoder, and what it accepts is a value that encodes again. Mutants
// of real messages and plain noise, seeded; with CUBE_FUZZ_ROUNDS more of them.
#include <cube/v1/intents.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "shared/domain/validate.h"
#include "shared/wire/codec.h"
#include "shared/wire/human.h"
#include "test/support/wire/equal.h"
#include "test/support/wire/values.h"

namespace cube::wire {
namespace {

int Rounds() {
  constexpr int kRoundsDefault = 20'000;
  const char* rounds = std::getenv("CUBE_FUZZ_ROUNDS");
  return rounds == nullptr ? kRoundsDefault : std::atoi(rounds);
}

std::string Noise(Random& random, std::size_t length_max) {
  std::string bytes(random.Below(length_max), '\0');
  for (char& c : bytes) c = static_cast<char>(random.Below(256));
  return bytes;
}

// A few edits of the kinds that break parsers: bits, cuts, doublings, extreme bytes.
std::string Mutated(Random& random, std::string bytes) {
  for (std::uint64_t edits = 1 + random.Below(4); edits > 0; --edits) {
    if (bytes.empty()) bytes = Noise(random, 16);
    if (bytes.empty()) continue;
    const std::size_t at = random.Below(bytes.size());
    switch (random.Below(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.Below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random.Below(256));
        break;
      case 2:
        bytes[at] = "\x00\x7F\x80\xFF"[random.Below(4)];
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(at, Noise(random, 8));
        break;
      case 5:
        bytes.erase(at, 1 + random.Below(4));
        break;
      default:
        bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(16)));
        break;
    }
  }
  return bytes;
}

// Calls check(bytes) with mutants of make(random), and now and then with noise. At least one
// mutant must be accepted and one refused, or the loop tests nothing.
template <class Make, class Check>
void Fuzz(Make make, Check check) {
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < Rounds(); ++i) {
    Random random(static_cast<std::uint64_t>(i) + 1);
    const std::string bytes =
        random.Below(10) == 0 ? Noise(random, 200) : Mutated(random, make(random));
    const bool good = check(bytes);
    if (::testing::Test::HasFatalFailure()) FAIL() << "seed " << i + 1;
    (good ? accepted : refused) += 1;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

void CheckError(const Error& error) {
  EXPECT_FALSE(error.message.empty());
  EXPECT_TRUE(error.code == Code::kInvalid || error.code == Code::kUnsupported);
}

TEST(Garbage, Decisions) {
  Fuzz([](Random& r) { return EncodeDecisions(testing::RandomDecisions(r)); },
       [](const std::string& bytes) {
         const auto batch = DecodeDecisions(bytes);
         if (!batch) return CheckError(batch.error()), false;
         const auto again = DecodeDecisions(EncodeDecisions(*batch));
         EXPECT_TRUE(again && testing::Equal(*again, *batch));
         return true;
       });
}

TEST(Garbage, Facts) {
  Fuzz([](Random& r) { return EncodeFacts(testing::RandomFacts(r)); },
       [](const std::string& bytes) {
         // The node's name is inside: read it as a reader of the subject would know it.
         const auto refused = DecodeFacts("-", bytes);
         EXPECT_FALSE(refused);
         CheckError(refused.error());
         const std::string_view message = refused.error().message;
         if (refused.error().field != "node" || !message.starts_with("is '")) return false;
         const std::string node(message.substr(4, message.find('\'', 4) - 4));
         const auto batch = DecodeFacts(node, bytes);
         if (!batch) return CheckError(batch.error()), false;
         const auto again = DecodeFacts(node, EncodeFacts(*batch));
         EXPECT_TRUE(again && *again == *batch);
         return true;
       });
}

TEST(Garbage, Assign) {
  Fuzz([](Random& r) { return EncodeAssign(testing::RandomAssign(r)); },
       [](const std::string& bytes) {
         const auto batch = DecodeAssign(bytes);
         if (!batch) return CheckError(batch.error()), false;
         const auto again = DecodeAssign(EncodeAssign(*batch));
         EXPECT_TRUE(again && testing::Equal(*again, *batch));
         return true;
       });
}

TEST(Garbage, Desired) {
  Fuzz([](Random& r) { return EncodeDesired(testing::RandomDesired(r)); },
       [](const std::string& bytes) {
         const auto page = DecodeDesired(bytes);
         if (!page) return CheckError(page.error()), false;
         const auto again = DecodeDesired(EncodeDesired(*page));
         EXPECT_TRUE(again && testing::Equal(*again, *page));
         return true;
       });
}

TEST(Garbage, Heartbeat) {
  Fuzz([](Random& r) { return EncodeHeartbeat(testing::RandomHeartbeat(r)); },
       [](const std::string& bytes) {
         const auto beat = DecodeHeartbeat(bytes);
         if (!beat) return CheckError(beat.error()), false;
         const auto again = DecodeHeartbeat(EncodeHeartbeat(*beat));
         EXPECT_TRUE(again && testing::Equal(*again, *beat));
         return true;
       });
}

// As protobuf, not in the human form.
bool LooksSubmitted(const std::string& bytes) { return v1::SubmitTasks().ParseFromString(bytes); }

bool CheckIntents(std::string_view subject, const std::string& bytes) {
  const IntentBatch batch = DecodeIntents(subject, {}, bytes);
  static SpecCache known;  // of what was read before
  static std::deque<IntentBatch> held;
  const IntentBatch again = DecodeIntentsWith(subject, {}, bytes, known);
  EXPECT_EQ(again.items.size(), batch.items.size());
  for (std::size_t i = 0; i < std::min(again.items.size(), batch.items.size()); ++i) {
    EXPECT_TRUE(testing::Equal(again.items[i], batch.items[i]));
  }
  held.push_back(again);
  if (held.size() > 100) held.pop_front();
  // And once more, with all of its specifications known.
  const IntentBatch third = DecodeIntentsWith(subject, {}, bytes, known);
  for (std::size_t i = 0; i < std::min(third.items.size(), batch.items.size()); ++i) {
    EXPECT_TRUE(testing::Equal(third.items[i], batch.items[i]));
    const auto* submit = std::get_if<SubmitTask>(&third.items[i]);
    if (submit != nullptr && LooksSubmitted(bytes)) {
      EXPECT_EQ(submit->spec, std::get<SubmitTask>(again.items[i]).spec);
    }
  }
  EXPECT_FALSE(batch.items.empty());
  bool good = true;
  for (const IntentItem& item : batch.items) {
    if (const auto* invalid = std::get_if<InvalidItem>(&item)) {
      CheckError(invalid->error);
      good = false;
    }
    if (const auto* submit = std::get_if<SubmitTask>(&item)) {
      EXPECT_TRUE(Validate(*submit->spec));
    }
  }
  return good;
}

TEST(Garbage, Submit) {
  Fuzz([](Random& r) { return EncodeSubmit(testing::RandomSubmits(r)); },
       [](const std::string& bytes) {
         // Its parts are read one by one; it is a message exactly if the whole is.
         const IntentBatch batch = DecodeIntents("cube.tasks.submit", {}, bytes);
         const auto* first = std::get_if<InvalidItem>(&batch.items.at(0));
         const bool unreadable =
             first != nullptr && first->error.message.contains("are not a SubmitTasks message");
         const bool human = bytes.find_first_of("{[") == bytes.find_first_not_of(" \t\r\n");
         if (!bytes.empty() && !human) {
           EXPECT_EQ(unreadable, !v1::SubmitTasks().ParseFromString(bytes));
         }
         return CheckIntents("cube.tasks.submit", bytes);
       });
}

TEST(Garbage, Stop) {
  Fuzz([](Random& r) { return EncodeStop(testing::RandomStops(r)); },
       [](const std::string& bytes) { return CheckIntents("cube.tasks.stop", bytes); });
}

TEST(Garbage, HumanSubmit) {
  Fuzz([](Random& r) { return SpecToHuman(testing::RandomSpec(r)).dump(); },
       [](const std::string& bytes) { return CheckIntents("cube.tasks.submit", bytes); });
}

TEST(Garbage, HumanStop) {
  Fuzz(
      [](Random& r) { return R"([{"id":")" + testing::RandomToken(r) + R"(","grace":"5s"},"x"])"; },
      [](const std::string& bytes) { return CheckIntents("cube.tasks.stop", bytes); });
}

TEST(Garbage, Nodes) {
  Fuzz([](Random& r) { return EncodeDrain(testing::RandomDrains(r)); },
       [](const std::string& bytes) { return CheckIntents("cube.nodes.drain", bytes); });
  Fuzz([](Random& r) { return EncodeCordon(testing::RandomNodes(r), true); },
       [](const std::string& bytes) { return CheckIntents("cube.nodes.cordon", bytes); });
}

TEST(Garbage, Jobs) {
  Fuzz([](Random& r) { return EncodeSubmitJob(testing::RandomJob(r)); },
       [](const std::string& bytes) { return CheckIntents("cube.jobs.submit", bytes); });
  Fuzz([](Random& r) { return EncodeScaleJobs(testing::RandomScales(r)); },
       [](const std::string& bytes) { return CheckIntents("cube.jobs.scale", bytes); });
  Fuzz([](Random& r) { return JobToHuman(testing::RandomJob(r)).dump(); },
       [](const std::string& bytes) { return CheckIntents("cube.jobs.submit", bytes); });
}

TEST(Garbage, Yaml) {
  constexpr std::string_view kText =
      "- &web\n  name: web\n  image: nginx:1.27\n  command: [sh, -c, 'echo \"x\"']\n"
      "  env: {A: 1, B: yes, C: ~}\n  ports:\n    - 8080:80/tcp\n    - {port: 90}\n"
      "  workdir: |\n    /srv\n- *web\n# comment\n- !!str 5\n- ? a\n  : b\n";
  Fuzz([&](Random&) { return std::string(kText); },
       [](const std::string& bytes) {
         const auto value = ParseYaml(bytes);
         if (!value) return CheckError(value.error()), false;
         EXPECT_NO_THROW(static_cast<void>(value->dump()));  // all texts are UTF-8
         if (value->is_array()) {
           for (const auto& task : *value) static_cast<void>(TaskFromHuman(task));
         }
         return true;
       });
}

TEST(Garbage, SmallTexts) {
  Fuzz(
      [](Random& r) {
        constexpr std::array<const char*, 8> kTexts{"8080:80/tcp",  "512Mi",     "1.25",
                                                    "on-failure:3", "disk!=ssd", "zone in a,b",
                                                    "1.5Gi",        "gpu"};
        return std::string(kTexts[r.Below(kTexts.size())]);
      },
      [](const std::string& bytes) {
        const auto size = ParseBytes(bytes);
        if (size) {
          EXPECT_EQ(ParseBytes(FormatBytes(*size)), *size);
        }
        const auto cpus = ParseCpus(bytes);
        const auto port = ParsePort(bytes);
        const auto restart = ParseRestart(bytes);
        if (restart) {
          EXPECT_EQ(ParseRestart(FormatRestart(*restart)), *restart);
        }
        const auto constraint = ParseConstraint(bytes);
        return size || cpus || port || restart || constraint;
      });
}

}  // namespace
}  // namespace cube::wire
