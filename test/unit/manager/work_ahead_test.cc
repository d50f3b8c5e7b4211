#include "services/manager/work_ahead.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace cube::manager {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// Writes its number down; the first waits for leave.
class Numbered final : public WorkAhead::Work {
 public:
  Numbered(int number, std::vector<int>& done) : number_(number), done_(done) {}
  void Do() override {
    if (number_ == 0) {
      begun.set_value();
      leave.get_future().wait_for(kPatience);
    }
    done_.push_back(number_);
    finished.set_value();
  }
  std::promise<void> begun, leave, finished;

 private:
  const int number_;
  std::vector<int>& done_;
};

TEST(WorkAheadTest, DoesInOrderWhatSomebodyStillHas) {
  std::vector<int> done;
  std::vector<std::shared_ptr<Numbered>> works;
  for (int i = 0; i < 4; ++i) works.push_back(std::make_shared<Numbered>(i, done));
  WorkAhead ahead;
  for (const auto& work : works) ahead.Offer(work);
  ASSERT_EQ(works[0]->begun.get_future().wait_for(kPatience), std::future_status::ready);
  const std::weak_ptr<Numbered> gone = works[2];
  works[2].reset();
  EXPECT_TRUE(gone.expired()) << "what nobody needs takes no memory";
  works[0]->leave.set_value();
  ASSERT_EQ(works[3]->finished.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(done, (std::vector<int>{0, 1, 3}));
}

TEST(WorkAheadTest, EndsWhileWorkWaits) {
  std::vector<int> done;
  const auto first = std::make_shared<Numbered>(0, done);
  const auto second = std::make_shared<Numbered>(1, done);
  std::future<void> leaves;
  {
    WorkAhead ahead;
    ahead.Offer(first);
    ASSERT_EQ(first->begun.get_future().wait_for(kPatience), std::future_status::ready);
    ahead.Offer(second);
    leaves = std::async(std::launch::async, [&first] { first->leave.set_value(); });
  }
  EXPECT_EQ(done.front(), 0) << "what was begun is finished";
}

}  // namespace
}  // namespace cube::manager
