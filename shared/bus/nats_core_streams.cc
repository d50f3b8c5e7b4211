// NatsCore: making streams fit, and what the readers ask for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "shared/bus/nats_core.h"
#include "shared/bus/nats_json.h"

namespace cube::bus {

namespace {

// Round trips; some tenths of a second, where a stream is made within milliseconds.
constexpr int kBeingMadeAsksMax = 1000;

}  // namespace

// ---- EnsureStreams: one stream after the other --------------------------------------------------

struct NatsCore::EnsureJob {
  OpId op = 0;
  std::vector<StreamConfig> configs;
  std::size_t at = 0;
  bool raced = false;  // somebody else made the stream meanwhile: looked once more
};

void NatsCore::EnsureStreams(OpId op, std::vector<StreamConfig> configs) {
  const Locked locked(*this);
  auto job = std::make_shared<EnsureJob>();
  job->op = op;
  job->configs = std::move(configs);
  EnsureNext(job);
}

void NatsCore::EnsureNext(const std::shared_ptr<EnsureJob>& job) {
  if (job->at >= job->configs.size()) {
    Emit(StreamsReady{job->op});
    return;
  }
  const StreamConfig& config = job->configs[job->at];
  StreamInfo(config.name, [this, job](Result<std::string>&& json) {
    const StreamConfig& want = job->configs[job->at];
    if (!json) {
      FailOp(job->op, Annotate(std::move(json).error(), "looking at stream " + want.name).error());
      return;
    }
    int number = 0;
    if (auto error = ApiError(*json, "looking at stream " + want.name, &number)) {
      if (number == kJsStreamNotFound) {
        EnsureApply(job, "CREATE", CreateStreamJson(want));
      } else {
        FailOp(job->op, std::move(*error));
      }
      return;
    }
    const auto info = ParseStreamInfo(*json);
    if (info) {
      EnsureCompare(job, *info);
    } else {
      FailOp(job->op, info.error());
    }
  });
}

void NatsCore::EnsureCompare(const std::shared_ptr<EnsureJob>& job, const StreamAnswer& answer) {
  auto update = UpdateStreamJson(job->configs[job->at], answer.config);
  if (!update) {
    FailOp(job->op, std::move(update).error());
    return;
  }
  if (*update) {
    EnsureApply(job, "UPDATE", std::move(**update));
    return;
  }
  EnsureDone(job);
}

void NatsCore::EnsureDone(const std::shared_ptr<EnsureJob>& job) {
  ++job->at;
  job->raced = false;
  EnsureNext(job);
}

void NatsCore::EnsureApply(const std::shared_ptr<EnsureJob>& job, const std::string& verb,
                           std::string body) {
  const std::string& name = job->configs[job->at].name;
  const std::string what = (verb == "CREATE" ? "creating stream " : "changing stream ") + name;
  Api("STREAM." + verb + "." + name, std::move(body),
      [this, job, what](Result<std::string>&& json) {
        if (!json) {
          FailOp(job->op, Annotate(std::move(json).error(), what).error());
          return;
        }
        int number = 0;
        if (auto error = ApiError(*json, what, &number)) {
          // Of a stream that somebody else makes at this moment the server says either.
          const bool taken = number == kJsStreamNameInUse || number == kJsSubjectsOverlap;
          if (taken && !job->raced) {
            job->raced = true;
            EnsureNext(job);
          } else {
            FailOp(job->op, std::move(*error));
          }
          return;
        }
        EnsureDone(job);
      });
}

// ---- one stream ---------------------------------------------------------------------------------

// A server that makes a stream names it before it has noted since when there is one; the next round
// trips are the pause.
void NatsCore::StreamInfo(const std::string& stream,
                          std::function<void(Result<std::string>&&)> done, int asked) {
  Api("STREAM.INFO." + stream, "",
      [this, stream, done = std::move(done), asked](Result<std::string>&& json) mutable {
        if (json && IsBeingMade(*json) && asked < kBeingMadeAsksMax) {
          StreamInfo(stream, std::move(done), asked + 1);
        } else {
          done(std::move(json));
        }
      });
}

void NatsCore::LookAt(OpId op, const std::string& stream, const std::string& what,
                      std::function<void(StreamAnswer&)> next) {
  StreamInfo(stream, [this, op, what, next = std::move(next)](Result<std::string>&& json) {
    if (!json) {
      FailOp(op, Annotate(std::move(json).error(), what).error());
      return;
    }
    if (auto error = ApiError(*json, what)) {
      FailOp(op, std::move(*error));
      return;
    }
    auto info = ParseStreamInfo(*json);
    if (info) {
      next(*info);
    } else {
      FailOp(op, std::move(info).error());
    }
  });
}

void NatsCore::Change(OpId op, const std::string& request, std::string body,
                      const std::string& what) {
  Api(
      request, std::move(body),
      [this, op, what](Result<std::string>&& json) {
        if (!json) {
          FailOp(op, Annotate(std::move(json).error(), what).error());
        } else if (auto error = ApiError(*json, what)) {
          FailOp(op, std::move(*error));
        } else {
          Emit(Done{op});
        }
      },
      Code::kTimedOut);
}

void NatsCore::GetState(OpId op, std::string stream) {
  const Locked locked(*this);
  StreamInfo(stream, [this, op, stream](Result<std::string>&& json) {
    int number = 0;
    const bool answered = json && !ApiError(*json, stream, &number);
    if (!answered && number == kJsNotForAccount && !options_.stream_info_prefix.empty()) {
      GetStateElsewhere(op, stream, *std::move(json));
    } else {
      EndGetState(op, stream, std::move(json));
    }
  });
}

void NatsCore::GetStateElsewhere(OpId op, const std::string& stream, std::string refusal) {
  Ask(options_.stream_info_prefix + stream, {}, "", options_.request_timeout, Code::kUnavailable,
      [this, op, stream, refusal = std::move(refusal)](Result<Incoming>&& answer) mutable {
        if (answer && answer->status == 0) refusal = std::move(answer->payload);
        EndGetState(op, stream, std::move(refusal));
      });
}

void NatsCore::EndGetState(OpId op, const std::string& stream, Result<std::string>&& json) {
  const std::string what = "looking at stream " + stream;
  if (!json) {
    FailOp(op, Annotate(std::move(json).error(), what).error());
  } else if (auto error = ApiError(*json, what)) {
    FailOp(op, std::move(*error));
  } else if (auto info = ParseStreamInfo(*json)) {
    Emit(GotState{op, std::move(info->state)});
  } else {
    FailOp(op, std::move(info).error());
  }
}

// Two traps of the request: {"seq":N} beyond the last sequence moves the stream's sequences on to N
// (all versions), and {"seq":1}, nothing to remove, removes everything (2.9). So the stream is
// looked at first. What is appended after that look stays.
void NatsCore::Purge(OpId op, std::string stream, std::uint64_t up_to_seq) {
  const Locked locked(*this);
  const std::string what = "purging stream " + stream;
  LookAt(op, stream, what, [this, op, stream, what, up_to_seq](const StreamAnswer& answer) {
    const std::uint64_t up_to = std::min(up_to_seq, answer.state.last_seq);
    if (up_to < answer.state.first_seq) {
      Emit(Done{op});
    } else {
      Change(op, "STREAM.PURGE." + stream, PurgeJson(up_to), what);
    }
  });
}

// ---- readers ------------------------------------------------------------------------------------

void NatsCore::OpenReader(SubId id, std::string stream, std::uint64_t from_seq) {
  CloseReader(id);
  const Locked locked(*this);
  // The dot-free inbox: one name space for all buses everywhere.
  std::string tag = fmt::format("cube-{:016x}-{}", random_.Next(), ++reader_last_);
  reader_tags_[tag] = id;
  const auto [it, fresh] =
      readers_.try_emplace(id, id, std::move(stream), from_seq, std::move(tag), random_.Next());
  if (!up_ || !fresh) return;
  ReaderActions actions;
  it->second.Up(clock_.now().mono, actions);
  Carry(id, std::move(actions));
}

void NatsCore::CloseReader(SubId id) {
  const Locked locked(*this);
  const auto it = readers_.find(id);
  if (it == readers_.end()) return;
  ReaderActions actions;
  it->second.Close(actions);
  actions.closed = true;
  Carry(id, std::move(actions));
}

void NatsCore::Pull(SubId id, std::uint32_t messages) {
  const Locked locked(*this);
  const auto it = readers_.find(id);
  if (it == readers_.end()) return;
  ReaderActions actions;
  it->second.Credit(messages, clock_.now().mono, actions);
  Carry(id, std::move(actions));
}

void NatsCore::Carry(SubId id, ReaderActions actions) {
  for (auto& action : actions.list) {
    if (auto* event = std::get_if<Event>(&action)) {
      Emit(std::move(*event));
    } else if (const auto* pull = std::get_if<ReaderActions::SendPull>(&action)) {
      const auto it = readers_.find(id);
      if (it == readers_.end()) continue;
      outbox_.push_back(
          {kBulk,
           fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", it->second.stream(), pull->consumer),
           fmt::format("{}r.{}.{}", inbox_, pull->consumer, pull->token),
           {},
           PullJson(pull->batch, kPullExpires, kPullHeartbeat)});
    } else if (std::get_if<ReaderActions::AskStream>(&action) != nullptr) {
      AskStream(id);
    } else if (const auto* make = std::get_if<ReaderActions::MakeConsumer>(&action)) {
      MakeConsumer(id, make->spec);
    } else if (const auto* drop = std::get_if<ReaderActions::DropConsumer>(&action)) {
      const auto it = readers_.find(id);
      if (it == readers_.end() || !up_) continue;
      // Whether it worked does not matter: the server forgets idle consumers by itself.
      Api(fmt::format("CONSUMER.DELETE.{}.{}", it->second.stream(), drop->name), "",
          [](Result<std::string>&&) {});
    }
  }
  const auto it = readers_.find(id);
  if (it == readers_.end()) return;
  if (actions.closed) {
    std::erase_if(reader_tags_, [id](const auto& tag) { return tag.second == id; });
    readers_.erase(it);
  } else {
    Due(it->second.deadline());
  }
}

void NatsCore::AskStream(SubId id) {
  const NatsReader& reader = readers_.at(id);
  const std::string what = "reading stream " + reader.stream();
  StreamInfo(reader.stream(), [this, id, what, generation = reader.generation(),
                               tag = reader.tag()](Result<std::string>&& json) {
    const auto it = readers_.find(id);
    if (it == readers_.end() || it->second.tag() != tag) return;  // closed, or opened anew
    Result<StreamAnswer> answer = Fail(Code::kInternal, what);
    if (!json) {
      answer = std::unexpected(std::move(json).error());
    } else if (auto error = ApiError(*json, what)) {
      answer = std::unexpected(std::move(*error));
    } else {
      answer = ParseStreamInfo(*json);
    }
    ReaderActions actions;
    it->second.StreamKnown(generation, answer, clock_.now().mono, actions);
    Carry(id, std::move(actions));
  });
}

void NatsCore::MakeConsumer(SubId id, const ConsumerSpec& spec) {
  const NatsReader& reader = readers_.at(id);
  const std::string what = "reading stream " + spec.stream;
  Api(fmt::format("CONSUMER.CREATE.{}.{}", spec.stream, spec.name), CreateConsumerJson(spec),
      [this, id, what, generation = reader.generation(),
       tag = reader.tag()](Result<std::string>&& json) {
        const auto it = readers_.find(id);
        if (it == readers_.end() || it->second.tag() != tag) return;
        Result<void> made;
        if (!json) {
          made = std::unexpected(std::move(json).error());
        } else if (auto error = ApiError(*json, what)) {
          made = std::unexpected(std::move(*error));
        }
        ReaderActions actions;
        it->second.ConsumerMade(generation, made, clock_.now().mono, actions);
        Carry(id, std::move(actions));
      });
}

// A message of a consumer keeps the stream's subject and names the consumer in its reply; what the
// server says of a pull comes to "<inbox>r.<consumer>.<token>". Consumers are "<tag>-<generation>".
void NatsCore::OnReaderMessage(natsMsg* message) {
  const char* const reply = natsMsg_GetReply(message);
  const auto delivery = reply == nullptr ? std::nullopt : ParseDelivery(std::string_view(reply));
  std::string_view consumer;
  std::uint64_t token = 0;
  if (delivery) {
    consumer = delivery->consumer;
  } else {
    std::string_view subject = natsMsg_GetSubject(message);
    if (!subject.starts_with(inbox_)) return;
    subject.remove_prefix(inbox_.size() + 2);  // "r."
    const std::size_t dot = subject.rfind('.');
    if (dot == std::string_view::npos) return;
    consumer = subject.substr(0, dot);
    std::from_chars(subject.data() + dot + 1, subject.data() + subject.size(), token);
  }
  const std::string_view tag = consumer.substr(0, consumer.rfind('-'));
  Incoming in = TakeMessage(message);
  const MonoTime now = clock_.now().mono;

  const Locked locked(*this);
  const auto found = reader_tags_.find(tag);
  if (found == reader_tags_.end()) return;
  const SubId id = found->second;
  NatsReader& reader = readers_.at(id);
  ReaderActions actions;
  if (delivery) {
    reader.Delivered(*delivery, now, actions, [&] {
      return StreamMessage{
          std::string(delivery->stream), delivery->stream_seq,  WallFromNanos(delivery->time_ns),
          std::move(in.subject),         std::move(in.headers), std::move(in.payload)};
    });
  } else if (consumer == reader.consumer()) {
    std::int64_t pending = -1;
    if (const auto it = in.headers.find("Nats-Pending-Messages"); it != in.headers.end()) {
      const std::string& text = it->second;
      std::from_chars(text.data(), text.data() + text.size(), pending);
    }
    reader.PullStatus(token, in.status, pending, now, actions);
  }
  Carry(id, std::move(actions));
}

}  // namespace cube::bus
