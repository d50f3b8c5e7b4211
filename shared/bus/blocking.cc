#include "shared/bus/blocking.h"

#include <utility>
#include <variant>

namespace cube::bus {
namespace {

// Operations without a timeout of their own end by the bus's; this only guards against a bus that
// never answers.
constexpr Duration kOperationMax = std::chrono::seconds(30);
constexpr Duration kGrace = std::chrono::seconds(1);

OpId OpOf(const Event& event) {
  return std::visit(
      [](const auto& e) -> OpId {
        if constexpr (requires { e.op; }) {
          return e.op;
        } else {
          return 0;
        }
      },
      event);
}

// Those whose number the other side decides may be dropped; all else is bounded by what we start.
bool MayBeDropped(const Event& event) { return std::holds_alternative<Message>(event); }

}  // namespace

BlockingBus::BlockingBus(const Clock& clock, const Factory& make)
    : clock_(clock), inbox_(std::make_shared<Inbox<Event>>(kBlockingInboxMax)) {
  bus_ = make([inbox = inbox_](Event event) {
    if (MayBeDropped(event)) {
      inbox->Push(std::move(event));
    } else {
      inbox->PushAlways(std::move(event));
    }
  });
}

BlockingBus::~BlockingBus() { bus_.reset(); }

std::optional<Event> BlockingBus::TakeOne(MonoTime deadline) {
  if (arrived_.empty()) {
    std::vector<Event> taken;
    inbox_->TakeUntil(taken, kBlockingInboxMax, deadline);
    for (Event& event : taken) arrived_.push_back(std::move(event));
  }
  if (arrived_.empty()) return std::nullopt;
  Event event = std::move(arrived_.front());
  arrived_.pop_front();
  return event;
}

Result<Connected> BlockingBus::Connect(MonoTime deadline) {
  Error why{Code::kUnavailable, "connecting to NATS: no answer in time", {}};
  while (auto event = TakeOne(deadline)) {
    if (auto* connected = std::get_if<Connected>(&*event)) return std::move(*connected);
    if (auto* closed = std::get_if<Closed>(&*event)) {
      return std::unexpected(std::move(closed->error));
    }
    if (auto* down = std::get_if<Disconnected>(&*event)) {
      why.message = std::move(down->reason);
    } else {
      queue_.push_back(std::move(*event));
    }
  }
  return std::unexpected(std::move(why));
}

template <class T>
Result<T> BlockingBus::End(OpId op, MonoTime deadline) {
  while (true) {
    auto event = TakeOne(deadline);
    if (!event) {
      if (clock_.now().mono >= deadline) break;
      interrupted_ = true;  // kept for Next
      continue;
    }
    const OpId ended = OpOf(*event);
    if (ended == 0 || for_next_.contains(ended)) {
      queue_.push_back(std::move(*event));
      continue;
    }
    if (ended != op) continue;  // the late end of a call that gave up
    if (auto* end = std::get_if<T>(&*event)) return std::move(*end);
    if (auto* failed = std::get_if<OpFailed>(&*event)) {
      return std::unexpected(std::move(failed->error));
    }
    if (auto* failed = std::get_if<AppendFailed>(&*event)) {
      return std::unexpected(std::move(failed->error));
    }
  }
  return Fail(Code::kTimedOut, "no answer from NATS in time");
}

Result<Appended> BlockingBus::Append(AppendRequest request) {
  const OpId op = request.op = ++op_last_;
  const MonoTime deadline = In(request.timeout + kGrace);
  bus_->Append(std::move(request));
  return End<Appended>(op, deadline);
}

OpId BlockingBus::StartAppend(AppendRequest request) {
  const OpId op = request.op = ++op_last_;
  for_next_.insert(op);
  bus_->Append(std::move(request));
  return op;
}

Result<Replied> BlockingBus::Request(std::string subject, Headers headers, std::string payload,
                                     Duration timeout) {
  const OpId op = ++op_last_;
  bus_->Request(op, std::move(subject), std::move(headers), std::move(payload), timeout);
  return End<Replied>(op, In(timeout + kGrace));
}

Result<std::optional<StreamMessage>> BlockingBus::Get(std::string stream, std::uint64_t seq) {
  const OpId op = ++op_last_;
  bus_->Get(op, std::move(stream), seq);
  CUBE_TRY(Got got, End<Got>(op, In(kOperationMax)));
  return std::move(got.message);
}

Result<std::optional<StreamMessage>> BlockingBus::GetLast(std::string stream, std::string subject) {
  const OpId op = ++op_last_;
  bus_->GetLast(op, std::move(stream), std::move(subject));
  CUBE_TRY(Got got, End<Got>(op, In(kOperationMax)));
  return std::move(got.message);
}

Result<StreamState> BlockingBus::GetState(std::string stream) {
  const OpId op = ++op_last_;
  bus_->GetState(op, std::move(stream));
  CUBE_TRY(GotState got, End<GotState>(op, In(kOperationMax)));
  return std::move(got.state);
}

Result<void> BlockingBus::EnsureStreams(std::vector<StreamConfig> configs) {
  const OpId op = ++op_last_;
  const Duration wait = kOperationMax * static_cast<std::int64_t>(configs.size() + 1);
  bus_->EnsureStreams(op, std::move(configs));
  CUBE_TRY([[maybe_unused]] const StreamsReady ready, End<StreamsReady>(op, In(wait)));
  return {};
}

std::optional<Event> BlockingBus::Next(MonoTime deadline) {
  while (true) {
    if (!queue_.empty()) {
      Event event = std::move(queue_.front());
      queue_.pop_front();
      if (const OpId op = OpOf(event); op != 0) for_next_.erase(op);
      return event;
    }
    if (std::exchange(interrupted_, false)) return std::nullopt;
    auto event = TakeOne(deadline);
    if (!event) return std::nullopt;
    const OpId op = OpOf(*event);
    if (op == 0 || for_next_.erase(op) > 0) return event;
  }
}

}  // namespace cube::bus
