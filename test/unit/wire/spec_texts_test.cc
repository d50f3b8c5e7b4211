// Specifications of many tasks, encoded once.
#include "shared/wire/spec_texts.h"

#include <cube/v1/desired.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "shared/wire/codec.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

TaskSpec Named(const std::string& name) {
  TaskSpec spec;
  spec.name = TaskName::Trusted(name);
  spec.image = "web:1";
  spec.env = {{"A", "1"}};
  return spec;
}
TaskSpecPtr SpecOf(const std::string& name) {
  return std::make_shared<const TaskSpec>(Named(name));
}

std::string TextOf(const TaskSpecPtr& spec) {
  SpecTexts fresh = AssignTexts();
  std::string text;
  fresh.Append(spec, text);
  return text;
}

class SpecTextsTest : public testing::Test {
 protected:
  // As one that many tasks share.
  std::string Text(const TaskSpecPtr& spec) {
    const std::vector<TaskSpecPtr> owners(2 * kSharedByMany, spec);
    EXPECT_TRUE(IsShared(spec));
    std::string text;
    texts_.Append(spec, text);
    return text;
  }
  SpecTexts texts_ = AssignTexts();
};

TEST_F(SpecTextsTest, AreThoseOfTheSpecification) {
  const TaskSpecPtr spec = SpecOf("web");
  v1::Assign message;
  ASSERT_TRUE(message.ParseFromString(TextOf(spec) + TextOf(SpecOf("db"))));
  ASSERT_EQ(message.specs_size(), 2);
  EXPECT_EQ(message.specs(0).name(), "web");
  EXPECT_EQ(message.specs(1).name(), "db");
  EXPECT_EQ(Text(spec), TextOf(spec));
  EXPECT_EQ(Text(spec), TextOf(spec)) << "what is kept is the same";
  EXPECT_EQ(texts_.bytes(), TextOf(spec).size());
  std::string text;
  texts_.Append(SpecOf("db"), text);
  EXPECT_EQ(texts_.bytes(), TextOf(spec).size()) << "only what many share is kept";
}

// Where one was another one can be made.
TEST_F(SpecTextsTest, AreOfTheObjectThatIsThereNow) {
  TaskSpec place = Named("first");
  for (const char* name : {"first", "second", "third"}) {
    place = Named(name);
    const TaskSpecPtr spec(&place, [](const TaskSpec*) {});
    EXPECT_EQ(Text(spec), TextOf(SpecOf(name)));
  }
  EXPECT_EQ(texts_.bytes(), TextOf(SpecOf("third")).size());
}

TEST_F(SpecTextsTest, AreForgottenWhenTheyAreTooMany) {
  TaskSpec large = Named("large");
  large.env["B"] = std::string(60'000, 'x');
  std::vector<TaskSpecPtr> specs;
  for (int i = 0; i < 50; ++i) {
    specs.push_back(std::make_shared<const TaskSpec>(large));
    EXPECT_EQ(Text(specs.back()).size(), TextOf(specs.back()).size());
    EXPECT_LE(texts_.bytes(), SpecTexts::kKeptBytesMax + 100'000);
  }
  texts_.Clear();
  EXPECT_EQ(texts_.bytes(), 0u);
  EXPECT_EQ(Text(specs.front()).size(), TextOf(specs.front()).size());
}

// The elements of a message's field, and nothing that only looks like one.
TEST(ElementsTest, AreThoseOfTheField) {
  const std::string one = AsField(8, "one");
  const std::string other = AsField(9, AsField(8, "inner"));
  EXPECT_EQ(internal::Elements(one + other + AsField(8, ""), 8),
            (std::vector<std::string_view>{"one", ""}));
  EXPECT_TRUE(internal::Elements("", 8).empty());
  for (std::size_t size = 1; size < one.size(); ++size) {
    EXPECT_TRUE(internal::Elements(one.substr(0, size), 8).empty()) << size << " bytes";
  }
}

}  // namespace
}  // namespace cube::wire
