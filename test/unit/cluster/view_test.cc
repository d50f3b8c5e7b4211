#include "shared/cluster/view.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace cube {
namespace {

using Op = Constraint::Op;

TaskSpec Plain() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("t");
  spec.image = "image";
  return spec;
}

TaskSpec With(std::vector<Constraint> rules) {
  TaskSpec spec = Plain();
  spec.constraints = std::move(rules);
  return spec;
}

TEST(ShapeOf, ValuesOfOneRuleAreNotTheNextRule) {
  EXPECT_NE(ShapeOf(With({{"zone", Op::kIn, {"a", "b"}}, {"gpu", Op::kExists, {}}})),
            ShapeOf(With({{"zone", Op::kIn, {"a", "b", "gpu3"}}})));
}

TEST(ShapeOf, APortIsNotALabel) {
  TaskSpec port = Plain();
  port.ports = {{80, 8083, Protocol::kTcp, ""}};
  EXPECT_NE(ShapeOf(port), ShapeOf(With({{"t808", Op::kExists, {}}})));
}

TEST(ShapeOf, NoTextRunsIntoWhatFollows) {
  const std::vector<TaskSpec> specs{
      With({{"a", Op::kIn, {"b\nc"}}}),       With({{"a", Op::kIn, {"b", "c"}}}),
      With({{"a", Op::kIn, {"b", "1 c"}}}),   With({{"a", Op::kIn, {"b1 c"}}}),
      With({{"a", Op::kIn, {"b", "", "c"}}}), With({{"a", Op::kEquals, {"b"}}}),
      With({{"a", Op::kNotEquals, {"b"}}}),   With({{"a", Op::kIn, {"b"}}}),
  };
  std::set<std::string> shapes;
  for (const TaskSpec& spec : specs) shapes.insert(ShapeOf(spec));
  EXPECT_EQ(shapes.size(), specs.size());
}

TEST(ShapeOf, DiffersInEverythingThatPlacingReads) {
  const std::vector<std::function<void(TaskSpec&)>> changes{
      [](TaskSpec&) {},
      [](TaskSpec& s) { s.engine = "sim"; },
      [](TaskSpec& s) { s.resources.cpu_millis = 1; },
      [](TaskSpec& s) { s.resources.memory_bytes = 1; },
      [](TaskSpec& s) { s.resources.disk_bytes = 1; },
      [](TaskSpec& s) { s.ports = {{80, 8080, Protocol::kTcp, ""}}; },
      [](TaskSpec& s) { s.ports = {{80, 8080, Protocol::kUdp, ""}}; },
      [](TaskSpec& s) { s.constraints = {{"a", Op::kExists, {}}}; },
      [](TaskSpec& s) { s.affinities = {{{"a", Op::kExists, {}}, 1}}; },
      [](TaskSpec& s) { s.affinities = {{{"a", Op::kExists, {}}, -1}}; },
      [](TaskSpec& s) { s.distinct = 1; },
      [](TaskSpec& s) { s.distinct = 2; },
      [](TaskSpec& s) { s.scheduler = "spread"; },
  };
  std::set<std::string> shapes;
  for (const auto& change : changes) {
    TaskSpec spec = Plain();
    change(spec);
    shapes.insert(ShapeOf(spec));
  }
  EXPECT_EQ(shapes.size(), changes.size());
}

TEST(ShapeOf, IsSharedByTasksThatNeedTheSame) {
  TaskSpec other = Plain();
  other.name = TaskName::Trusted("other");
  other.env["KEY"] = "value";
  other.ports = {{80, 0, Protocol::kTcp, ""}};
  EXPECT_EQ(ShapeOf(other), ShapeOf(Plain()));
}

TEST(ShapeMemo, AnswersAsShapeOfDoes) {
  ShapeMemo memo;
  std::vector<TaskSpecPtr> held;
  for (int i = 0; i < 1000; ++i) {
    TaskSpec spec = Plain();
    spec.resources.cpu_millis = i;
    // Of each four one is dropped at once: the next one may be made where it was.
    const auto made = std::make_shared<const TaskSpec>(std::move(spec));
    if (i % 4 != 0) held.push_back(made);
    EXPECT_EQ(memo.Of(made), ShapeOf(*made));
    for (int k = 0; k < 3 && !held.empty(); ++k) {
      const TaskSpecPtr& other = held[static_cast<std::size_t>(i * 7 + k) % held.size()];
      EXPECT_EQ(memo.Of(other), ShapeOf(*other));
    }
  }
  ShapeMemo copy = memo;
  for (const TaskSpecPtr& spec : held) EXPECT_EQ(copy.Of(spec), ShapeOf(*spec));
}

}  // namespace
}  // namespace cube
