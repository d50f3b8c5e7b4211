// The contract of bus::Bus, as one GoogleTest suite that runs on every implementation:
//
//   INSTANTIATE_TEST_SUITE_P(Sim, BusContract, testing::Values(&MakeSimFixture));
//
// with ${CUBE_BUS_CONTRACT} (contract*.cc) among the sources of that test.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shared/bus/bus.h"

namespace cube::bus {

// What a test needs of the world behind a Bus.
class BusFixture {
 public:
  virtual ~BusFixture() = default;
  // A client of its own. May be called while the server is down.
  virtual std::unique_ptr<Bus> Make(const std::string& name, Sink sink) = 0;
  // Lets the world go on until done() is true or a generous deadline has passed. -> done().
  virtual bool Until(const std::function<bool()>& done) = 0;
  virtual void KillServer() = 0;  // streams stay
  virtual void StartServer() = 0;
  virtual void Purge(const std::string& stream, std::uint64_t before_seq) = 0;
  virtual void DeleteStream(const std::string& stream) = 0;
};

using BusFixtureFactory = std::unique_ptr<BusFixture> (*)();

// A Bus with all it has said, in order. Threads: the sink's write, the test's read.
class Recorder {
 public:
  Recorder(BusFixture& fixture, const std::string& name);
  ~Recorder() { bus_.reset(); }

  Bus& operator*() { return *bus_; }
  Bus* operator->() { return bus_.get(); }
  OpId NextOp() { return ++op_last_; }

  [[nodiscard]] std::vector<Event> Events() const;
  template <class T>
  [[nodiscard]] std::vector<T> All() const {
    std::vector<T> out;
    const std::lock_guard lock(mutex_);
    for (const Event& event : events_) {
      if (const T* e = std::get_if<T>(&event)) out.push_back(*e);
    }
    return out;
  }
  template <class T>
  [[nodiscard]] std::size_t Count() const {
    return All<T>().size();
  }
  // False (and a failure) if there are not so many in time.
  template <class T>
  [[nodiscard]] bool UntilCount(std::size_t count) {
    return fixture_.Until([&] { return Count<T>() >= count; });
  }
  // The event of type T with this op, or nullopt if the operation ended otherwise (or not).
  template <class T>
  [[nodiscard]] std::optional<T> UntilOp(OpId op) {
    fixture_.Until([&] { return EndOf(op).has_value(); });
    const auto event = EndOf(op);
    if (!event) return std::nullopt;
    const T* e = std::get_if<T>(&*event);
    return e == nullptr ? std::nullopt : std::optional<T>(*e);
  }
  // The event that ended the operation.
  [[nodiscard]] std::optional<Event> EndOf(OpId op) const;

 private:
  BusFixture& fixture_;
  mutable std::mutex mutex_;
  std::vector<Event> events_;
  OpId op_last_ = 0;
  std::unique_ptr<Bus> bus_;
};

class BusContract : public testing::TestWithParam<BusFixtureFactory> {
 protected:
  void SetUp() override;

  // Streams for most tests: LOG (log.*), KEPT (kept.*, newest of each), SMALL (small.*, 4 KiB).
  void MakeStreams(Recorder& r);
  OpId StartAppend(Recorder& r, const std::string& subject, const std::string& payload);
  std::uint64_t MustAppend(Recorder& r, const std::string& subject, const std::string& payload);
  std::vector<std::uint64_t> ReadSeqs(const Recorder& r, SubId reader) const;

  std::unique_ptr<BusFixture> fixture_;
};

}  // namespace cube::bus
