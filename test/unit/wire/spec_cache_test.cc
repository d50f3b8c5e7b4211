// Submissions one by one with specifications that were read before.
#include "shared/wire/spec_cache.h"

#include <cube/v1/intents.pb.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "shared/domain/validate.h"
#include "shared/wire/codec.h"

namespace cube::wire {
namespace {

std::string Submission(const std::string& name, const std::string& id = "") {
  TaskSpec spec;
  spec.name = TaskName::Trusted(name);
  spec.image = "web:1";
  return EncodeSubmit({{id.empty() ? TaskId() : TaskId::Trusted(id),
                        std::make_shared<const TaskSpec>(std::move(spec))}});
}

class SpecCacheTest : public testing::Test {
 protected:
  IntentBatch Read(const std::string& payload) {
    return DecodeIntentsWith("cube.tasks.submit", {}, payload, known_);
  }
  TaskSpecPtr SpecIn(const std::string& payload) {
    const IntentBatch batch = Read(payload);
    const auto* submit = std::get_if<SubmitTask>(&batch.items.at(0));
    return submit == nullptr ? nullptr : submit->spec;
  }
  SpecCache known_;
};

TEST_F(SpecCacheTest, EqualOnesAreShared) {
  const TaskSpecPtr web = SpecIn(Submission("web"));
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(SpecIn(Submission("web", "of-another-id")), web);
  const TaskSpecPtr db = SpecIn(Submission("db"));
  ASSERT_NE(db, nullptr);
  EXPECT_EQ(db->name.str(), "db");
  EXPECT_EQ(SpecIn(Submission("web")), web);
  const std::string decoded = EncodeSubmit({{TaskId(), web}});
  EXPECT_EQ(decoded, Submission("web"));
}

TEST_F(SpecCacheTest, NobodysAreReadAnew) {
  std::weak_ptr<const TaskSpec> gone = SpecIn(Submission("web"));
  EXPECT_TRUE(gone.expired()) << "it is kept only while somebody has it";
  const std::size_t bytes = known_.bytes();
  const TaskSpecPtr web = SpecIn(Submission("web"));
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(known_.bytes(), bytes);
  EXPECT_EQ(SpecIn(Submission("web")), web);
}

TEST_F(SpecCacheTest, RefusedOnesAreRefusedAgain) {
  v1::SubmitTasks message;
  v1::TaskSpec* spec = message.add_specs();
  spec->set_name("web");
  spec->set_image("-x");
  message.add_tasks();
  for (int i = 0; i < 2; ++i) {
    const IntentBatch batch = Read(message.SerializeAsString());
    const auto* invalid = std::get_if<InvalidItem>(&batch.items.at(0));
    ASSERT_NE(invalid, nullptr);
    EXPECT_EQ(invalid->name, "web");
    EXPECT_EQ(invalid->error.field, "image");
  }
  EXPECT_EQ(known_.bytes(), 0U);
}

// Bytes that are a SubmitTasks message up to its specification, which is none.
TEST_F(SpecCacheTest, OneUnreadablePartMakesTheWholeUnreadable) {
  v1::EncodedSubmitTasks message;
  message.add_specs("\x0a\xff");
  message.add_tasks();
  const std::string payload = message.SerializeAsString();
  const IntentBatch batch = Read(payload);
  ASSERT_EQ(batch.items.size(), 1U);
  const auto* invalid = std::get_if<InvalidItem>(&batch.items[0]);
  ASSERT_NE(invalid, nullptr);
  EXPECT_EQ(invalid->error.message, "these " + std::to_string(payload.size()) +
                                        " bytes are not a SubmitTasks message (protobuf cube.v1)");
}

// One that says its name very often means no more than one that says it once.
TEST_F(SpecCacheTest, MoreBytesThanASpecificationMayHaveAreNotKept) {
  v1::TaskSpec spec;
  spec.set_name("web");
  std::string bytes;
  while (bytes.size() <= kIntentItemBytesMax) bytes += spec.SerializeAsString();
  spec.set_image("web:1");
  v1::EncodedSubmitTasks message;
  message.add_specs(bytes + spec.SerializeAsString());
  message.add_tasks();
  EXPECT_NE(SpecIn(message.SerializeAsString()), nullptr);
  EXPECT_EQ(known_.bytes(), 0U);
}

TEST(EncodedSubmitTasks, IsSubmitTasksButForItsSpecifications) {
  const google::protobuf::Descriptor& whole = *v1::SubmitTasks::descriptor();
  const google::protobuf::Descriptor& encoded = *v1::EncodedSubmitTasks::descriptor();
  ASSERT_EQ(encoded.field_count(), whole.field_count());
  for (int i = 0; i < whole.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *whole.field(i);
    const auto* other = encoded.FindFieldByNumber(field.number());
    ASSERT_NE(other, nullptr) << field.name();
    EXPECT_EQ(other->name(), field.name());
    EXPECT_EQ(other->label(), field.label()) << field.name();
    if (field.number() == v1::SubmitTasks::kSpecsFieldNumber) {
      EXPECT_EQ(other->type(), google::protobuf::FieldDescriptor::TYPE_BYTES);
    } else {
      EXPECT_EQ(other->type(), field.type()) << field.name();
      EXPECT_EQ(other->message_type(), field.message_type()) << field.name();
    }
  }
}

TEST_F(SpecCacheTest, AreForgottenWhenTheyAreTooMany) {
  const TaskSpecPtr first = SpecIn(Submission("web"));
  std::vector<TaskSpecPtr> held;
  std::size_t most = 0;
  for (int i = 0; known_.bytes() >= most; ++i) {
    most = known_.bytes();
    held.push_back(SpecIn(Submission("t" + std::to_string(i))));
    ASSERT_LT(i, 100'000);
  }
  EXPECT_LE(most, SpecCache::kKeptBytesMax);
  EXPECT_GT(most, SpecCache::kKeptBytesMax / 2);
  const TaskSpecPtr again = SpecIn(Submission("web"));
  EXPECT_NE(again, first);
  EXPECT_EQ(*again, *first);
}

}  // namespace
}  // namespace cube::wire
