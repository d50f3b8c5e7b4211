// Plays bus, store and clock for one manager's loop. The log is empty of other writers: positions
// are answered as a test sets them, the lease is there for the asking, and an append of decisions
// is kept until the test says what became of it.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/manager/manager_loop.h"
#include "shared/domain/assign.h"
#include "shared/wire/codec.h"

namespace cube::test {

// What the bus says of one stream.
struct RigStream {
  std::uint64_t last_seq = 0;
  std::int32_t replicas = 1;
  std::map<std::uint64_t, bus::StreamMessage> messages;  // others are purged
  std::uint64_t opened_from = 0;                         // by the newest reader
  bus::SubId reader = 0;
};

class LoopRig {
 public:
  // `committed` is what the store holds; its positions are the ends of the streams.
  LoopRig(const View& committed, WallTime wall, std::int32_t replicas = 1)
      : committed_(committed.Copy()) {
    now_.mono = MonoTime(std::chrono::hours(1));
    now_.wall = wall;
    decisions().last_seq = committed_.decision_seq;
    intents().last_seq = committed_.intents.seq;
    facts().last_seq = committed_.facts.seq;
    manager::ManagerOptions options;
    options.name = "me";
    options.owner = "me";
    options.seed = 1;
    options.limits.replicas = replicas;
    loop_ = std::move(*manager::ManagerLoop::Make(std::move(options),
                                                  [this](manager::ViewRecords&) -> Result<View> {
                                                    ++loads_;
                                                    return committed_.Copy();
                                                  }));
  }

  void Connect() { Feed({bus::Connected{"2.9.10", 1 << 20, true}}); }
  // Connected and alone: the first append of its term has been acknowledged.
  void Lead() {
    Connect();
    Acknowledge();
  }
  // At least once in a second the loop is called, so that its lease lives on.
  void Pass(Duration time) {
    do {
      const Duration slice = std::min<Duration>(time, std::chrono::seconds(1));
      Move(slice);
      Take(loop_->Step({}, now_, false));
      time -= slice;
    } while (time > Duration{0});
  }
  // Time passes, and the loop has not been called yet.
  void Move(Duration time) {
    now_.mono += time;
    now_.wall += time;
  }
  // All events in one step; `more` = others still lie in the inbox.
  void Feed(std::vector<bus::Event> events, bool more = false) {
    std::vector<manager::Input> inputs;
    for (bus::Event& event : events) inputs.push_back({std::move(event)});
    more_ = more_ || more;  // also when what this step asks for is answered
    Take(loop_->Step(inputs, now_, more_));
    if (more) more_ = false;
  }

  // The append of decisions that waits for its outcome.
  [[nodiscard]] const std::optional<bus::AppendRequest>& sent() const { return sent_; }
  [[nodiscard]] DecisionBatch batch() const { return *wire::DecodeDecisions(sent_->payload); }
  void Acknowledge() { Feed({Acknowledgement()}); }
  bus::Event Acknowledgement() {
    const bus::OpId op = sent_->op;
    sent_.reset();
    return bus::Appended{op, wire::Subjects().DecisionsStream(), ++decisions().last_seq, false};
  }
  void FailAppend(Code code) {
    const bus::OpId op = sent_->op;
    sent_.reset();
    Feed({bus::AppendFailed{op, {code, "as told", ""}}});
  }

  // What comes over the bus.
  [[nodiscard]] bus::Event Beat(const Heartbeat& beat) const {
    return bus::Message{
        heartbeats_, wire::Subjects().Heartbeat(beat.node), "", {}, wire::EncodeHeartbeat(beat)};
  }
  [[nodiscard]] bus::Event RawBeat(const std::string& node, std::string payload) const {
    return bus::Message{heartbeats_, wire::Subjects().Heartbeat(node), "", {}, std::move(payload)};
  }
  // The loop's own newest heartbeat.
  [[nodiscard]] bus::Event Echo() const {
    const std::string subject = wire::Subjects().Heartbeat(kLeaderHeartbeat);
    return bus::Message{heartbeats_, subject, "", {}, last_.at(subject)};
  }
  [[nodiscard]] bus::Event Query(const std::string& what, std::string request,
                                 const std::string& reply_to) const {
    return bus::Message{queries_, wire::Subjects().Query(what), reply_to, {}, std::move(request)};
  }
  [[nodiscard]] bus::Event Verify(std::string request, const std::string& reply_to) const {
    return bus::Message{
        verifies_, wire::Subjects().VerifyManagers(), reply_to, {}, std::move(request)};
  }
  // The next message of a stream, to the reader that the loop has opened.
  bus::Event Read(RigStream& stream, const std::string& subject, std::string payload) const {
    bus::StreamMessage message;
    message.seq = ++stream.last_seq;
    message.time = now_.wall;
    message.subject = subject;
    message.payload = std::move(payload);
    return bus::Read{stream.reader, std::move(message)};
  }
  RigStream& intents() { return streams_[wire::Subjects().IntentsStream()]; }
  RigStream& facts() { return streams_[wire::Subjects().FactsStream()]; }
  RigStream& decisions() { return streams_[wire::Subjects().DecisionsStream()]; }

  // Payloads that were published on a subject, taken out.
  std::vector<std::string> Published(const std::string& subject) {
    return std::exchange(published_[subject], {});
  }
  // Live copies for a node, taken out.
  std::vector<AssignBatch> Assigned(const std::string& node) {
    std::vector<AssignBatch> batches;
    for (const std::string& payload : Published(wire::Subjects().Assign(node))) {
      batches.push_back(*wire::DecodeAssign(payload));
    }
    return batches;
  }
  // Complete sets of a node that were written since the last call.
  std::size_t SetsOf(const std::string& node) {
    return std::exchange(appended_[wire::Subjects().Desired(node, 0)], 0);
  }

  // With false, EnsureStreams, Get and GetState wait in `asked`.
  bool answers = true;
  std::vector<bus::Operation> asked;

  [[nodiscard]] manager::ManagerLoop& loop() { return *loop_; }
  [[nodiscard]] const View& view() const { return loop_->view(); }
  [[nodiscard]] Now now() const { return now_; }
  [[nodiscard]] int warnings() const { return warnings_; }
  [[nodiscard]] int loads() const { return loads_; }
  [[nodiscard]] int ensures() const { return ensures_; }
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

  void Answer(const bus::Operation& operation) {
    if (const auto* ensure = std::get_if<bus::EnsureStreams>(&operation)) {
      Feed({bus::StreamsReady{ensure->op}});
    } else if (const auto* get = std::get_if<bus::Get>(&operation)) {
      const RigStream& stream = streams_[get->stream];
      const auto it = stream.messages.find(get->seq);
      const bool there = it != stream.messages.end();
      Feed({bus::Got{get->op, there ? std::optional(it->second) : std::nullopt}});
    } else if (const auto* last = std::get_if<bus::GetLast>(&operation)) {
      Feed({bus::Got{last->op, std::nullopt}});
    } else if (const auto* state = std::get_if<bus::GetState>(&operation)) {
      bus::StreamState answer;
      answer.last_seq = streams_[state->stream].last_seq;
      answer.replicas = streams_[state->stream].replicas;
      Feed({bus::GotState{state->op, answer}});
    }
  }

 private:
  // In order, however answers come while they are carried out.
  void Take(std::vector<manager::Operation> operations) {
    for (manager::Operation& operation : operations) todo_.push_back(std::move(operation));
    if (std::exchange(taking_, true)) return;
    while (!todo_.empty()) {
      manager::Operation operation = std::move(todo_.front());
      todo_.pop_front();
      if (auto* call = std::get_if<bus::Operation>(&operation)) Execute(*call);
      if (std::holds_alternative<manager::Commit>(operation)) ++commits_;
      if (const auto* line = std::get_if<manager::LogLine>(&operation)) {
        warnings_ += line->level == manager::LogLine::Level::kWarning ? 1 : 0;
      }
    }
    taking_ = false;
  }

  void Execute(bus::Operation& operation) {
    if (auto* append = std::get_if<bus::Append>(&operation)) {
      bus::AppendRequest& request = append->request;
      if (request.subject == wire::Subjects().LeaseKey()) {
        Feed({bus::Appended{request.op, "", ++lease_seq_, false}});
      } else if (request.subject == wire::Subjects().Decisions()) {
        sent_ = std::move(request);
      } else {
        ++appended_[request.subject];
      }
    } else if (auto* publish = std::get_if<bus::Publish>(&operation)) {
      last_[publish->subject] = publish->payload;
      published_[publish->subject].push_back(std::move(publish->payload));
    } else if (const auto* subscribe = std::get_if<bus::Subscribe>(&operation)) {
      if (!subscribe->queue_group.empty()) queries_ = subscribe->id;
      if (subscribe->subject == wire::Subjects().HeartbeatAll()) heartbeats_ = subscribe->id;
      if (subscribe->subject == wire::Subjects().VerifyManagers()) verifies_ = subscribe->id;
    } else if (const auto* open = std::get_if<bus::OpenReader>(&operation)) {
      RigStream& stream = streams_[open->stream];
      stream.reader = open->id;
      stream.opened_from = open->from_seq;
    } else {
      if (std::holds_alternative<bus::EnsureStreams>(operation)) ++ensures_;
      if (answers) {
        Answer(operation);
      } else {
        asked.push_back(std::move(operation));
      }
    }
  }

  View committed_;
  Now now_{};
  std::unique_ptr<manager::ManagerLoop> loop_;
  std::deque<manager::Operation> todo_;
  bool taking_ = false;
  bool more_ = false;
  std::map<std::string, RigStream> streams_;
  std::optional<bus::AppendRequest> sent_;
  std::map<std::string, std::vector<std::string>> published_;
  std::map<std::string, std::string> last_;  // of what was published on a subject
  std::map<std::string, std::size_t> appended_;
  bus::SubId heartbeats_ = 0;
  bus::SubId queries_ = 0;
  bus::SubId verifies_ = 0;
  std::uint64_t lease_seq_ = 0;
  std::uint64_t commits_ = 0;
  int warnings_ = 0;
  int loads_ = 0;
  int ensures_ = 0;
};

}  // namespace cube::test
