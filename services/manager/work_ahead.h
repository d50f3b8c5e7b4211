// Does work before its result is needed, on a thread of its own: a message of the log is decoded
// while the loop folds those before it.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace cube::manager {

class WorkAhead {
 public:
  class Work {
   public:
    Work() = default;
    virtual ~Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    // Any thread. Does it unless somebody has; waits while another thread does.
    virtual void Do() = 0;
  };

  WorkAhead();
  // What waits is not done.
  ~WorkAhead();
  WorkAhead(const WorkAhead&) = delete;
  WorkAhead& operator=(const WorkAhead&) = delete;

  // Done in this order, unless nobody has it any more when its turn comes.
  void Offer(const std::shared_ptr<Work>& work);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable offered_;
  std::deque<std::weak_ptr<Work>> works_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace cube::manager
