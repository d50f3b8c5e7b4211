#include "shared/bus/nats_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace cube::bus {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(50);
constexpr Duration kPauseMax = std::chrono::seconds(5);

constexpr int kIdleHeartbeat = 100;
constexpr int kNoMessages = 404;
constexpr int kExpired = 408;

}  // namespace

NatsReader::NatsReader(SubId id, std::string stream, std::uint64_t from_seq,
                       std::string consumer_prefix, std::uint64_t seed)
    : id_(id),
      stream_(std::move(stream)),
      consumer_prefix_(std::move(consumer_prefix)),
      random_(seed),
      next_(std::max<std::uint64_t>(from_seq, 1)) {}

void NatsReader::Up(MonoTime /*now*/, ReaderActions& out) {
  if (state_ != State::kDown) return;
  pause_ = Duration{0};
  Begin(out);
}

void NatsReader::Down() {
  state_ = State::kDown;
  consumer_.clear();
  pulls_.clear();
  outstanding_ = 0;
  deadline_ = MonoTime::max();
}

void NatsReader::Close(ReaderActions& out) { Abandon(out); }

void NatsReader::Begin(ReaderActions& out) {
  ++generation_;
  state_ = State::kAsking;
  deadline_ = MonoTime::max();  // the request has one of its own
  out.list.emplace_back(ReaderActions::AskStream{});
}

void NatsReader::Abandon(ReaderActions& out) {
  if (!consumer_.empty()) out.list.emplace_back(ReaderActions::DropConsumer{consumer_});
  consumer_.clear();
  pulls_.clear();
  outstanding_ = 0;
}

void NatsReader::Retry(MonoTime now, ReaderActions& out) {
  Abandon(out);
  ++generation_;
  state_ = State::kWaiting;
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
  const auto spread = static_cast<std::uint64_t>((pause_ / 2).count());
  deadline_ = now + pause_ / 2 + Duration(random_.Below(spread + 1));
}

void NatsReader::Fail(Error error, ReaderActions& out) {
  Abandon(out);
  ++generation_;
  state_ = State::kDown;
  deadline_ = MonoTime::max();
  out.list.emplace_back(Event(ReadFailed{id_, std::move(error)}));
  out.closed = true;
}

void NatsReader::StreamKnown(std::uint64_t generation, const Result<StreamAnswer>& answer,
                             MonoTime now, ReaderActions& out) {
  if (generation != generation_ || state_ != State::kAsking) return;
  if (!answer) {
    const Code code = answer.error().code;
    if (code == Code::kUnavailable || code == Code::kTimedOut) {
      Retry(now, out);
    } else {
      Fail(answer.error(), out);
    }
    return;
  }
  rolling_ = answer->rolling;
  if (answer->state.first_seq > next_ && !rolling_) {
    Fail(Error{Code::kDataLoss,
               fmt::format(
                   "reading stream {}: it begins at sequence {}, but {} was to be read next; "
                   "what lies between was purged",
                   stream_, answer->state.first_seq, next_),
               {}},
         out);
    return;
  }
  // Whatever is missing below the first sequence of now was deleted singly, not purged.
  state_ = State::kMaking;
  consumer_ = fmt::format("{}-{}", consumer_prefix_, generation_);
  consumer_seq_ = 0;
  out.list.emplace_back(ReaderActions::MakeConsumer{{stream_, consumer_, next_}});
}

void NatsReader::ConsumerMade(std::uint64_t generation, const Result<void>& made, MonoTime now,
                              ReaderActions& out) {
  if (generation != generation_ || state_ != State::kMaking) return;
  if (!made) {
    const Code code = made.error().code;
    if (code == Code::kNotFound || code == Code::kPrecondition || code == Code::kInvalid) {
      consumer_.clear();
      Fail(made.error(), out);
    } else {
      Retry(now, out);
    }
    return;
  }
  state_ = State::kReading;
  Heard(now);
  Refill(out);
}

void NatsReader::Heard(MonoTime now) {
  deadline_ = outstanding_ > 0 || credit_ > 0 ? now + kPullSilenceMax : MonoTime::max();
}

// Asks for more when half of what the caller may be given is not asked for yet, so that a caller
// who gives credit by ones does not cost one request a message.
void NatsReader::Refill(ReaderActions& out) {
  if (state_ != State::kReading) return;
  while (outstanding_ <= credit_ / 2 && outstanding_ < credit_) {
    const std::uint64_t batch = std::min(credit_ - outstanding_, kPullBatchMax);
    outstanding_ += batch;
    pulls_[++token_last_] = batch;
    out.list.emplace_back(ReaderActions::SendPull{consumer_, token_last_, batch});
  }
}

void NatsReader::Credit(std::uint32_t messages, MonoTime now, ReaderActions& out) {
  credit_ += messages;
  if (state_ != State::kReading) return;
  if (outstanding_ == 0) Heard(now);
  Refill(out);
}

bool NatsReader::Accept(const Delivery& delivery, MonoTime now, ReaderActions& out) {
  if (state_ != State::kReading || delivery.consumer != consumer_) return false;
  if (delivery.consumer_seq != consumer_seq_ + 1) {  // something between was lost on the way
    Retry(now, out);
    return false;
  }
  if (delivery.stream_seq > next_ && !rolling_ && delivery.stream_seq > hole_checked_) {
    // Purged under our feet, or deleted singly? The look at the stream tells.
    hole_checked_ = delivery.stream_seq;
    Abandon(out);
    Begin(out);
    return false;
  }
  consumer_seq_ = delivery.consumer_seq;
  if (outstanding_ > 0) --outstanding_;
  if (outstanding_ == 0) pulls_.clear();
  if (delivery.stream_seq < next_) return false;
  next_ = delivery.stream_seq + 1;
  if (credit_ > 0) --credit_;
  pause_ = Duration{0};
  Heard(now);
  return true;
}

void NatsReader::PullStatus(std::uint64_t token, int status, std::int64_t pending, MonoTime now,
                            ReaderActions& out) {
  const auto it = pulls_.find(token);
  if (state_ != State::kReading || it == pulls_.end()) return;
  if (status == kIdleHeartbeat) {
    Heard(now);
    return;
  }
  if (status != kExpired && status != kNoMessages) {  // 409, 503: the consumer is not well, or gone
    Retry(now, out);
    return;
  }
  if (pending < 0 && pulls_.size() > 1) {  // whose messages are missing is not known
    Retry(now, out);
    return;
  }
  const std::uint64_t left = pending < 0 ? outstanding_ : static_cast<std::uint64_t>(pending);
  outstanding_ -= std::min(left, outstanding_);
  pulls_.erase(it);
  if (outstanding_ == 0) pulls_.clear();
  Heard(now);
  Refill(out);
}

void NatsReader::Tick(MonoTime now, ReaderActions& out) {
  if (now < deadline_) return;
  deadline_ = MonoTime::max();
  if (state_ == State::kWaiting) {
    Begin(out);
  } else if (state_ == State::kReading && outstanding_ > 0) {
    Retry(now, out);
  }
}

}  // namespace cube::bus
