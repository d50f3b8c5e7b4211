#include "services/cli/verify/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "shared/wire/codec.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(100);
constexpr Duration kShowEvery = std::chrono::milliseconds(250);
// Of a line that stays, where nothing is drawn over.
constexpr Duration kSayEvery = std::chrono::seconds(20);
// A manager that is there says so at once; then it takes its time.
constexpr Duration kPresence = std::chrono::milliseconds(1'500);
// A worker's state and the log are looked at again so often before a difference counts: something
// may be on its way from one to the other.
constexpr int kLooks = 5;
constexpr Duration kBetweenLooks = std::chrono::milliseconds(400);

// Interrupted: everything ends.
bool IsFinal(const Error& error) { return error.code == Code::kAborted; }

}  // namespace

// ---- the log ----------------------------------------------------------------------------------

Result<bool> Verifier::Next() {
  CUBE_TRY(const bool folded, replay_->Next());
  if (!folded) return false;
  CheckPlanned();
  if (client_.Mono() - shown_at_ >= kShowEvery) {
    shown_at_ = client_.Mono();
    const std::string text = fmt::format("reading the log: decision {} of {}", view().decision_seq,
                                         replay_->decisions_end());
    progress_.Waiting(text);
    if (shown_at_ - said_at_ >= kSayEvery) {
      said_at_ = shown_at_;
      progress_.Step(text);
    }
  }
  return true;
}

// As far as was looked at.
Result<void> Verifier::ReadOn() {
  while (true) {
    CUBE_TRY(const bool more, Next());
    if (!more) return {};
  }
}

Result<void> Verifier::ReadLog() {
  said_at_ = client_.Mono();
  CUBE_TRY(snapshots_, StoredSnapshots(client_));
  CUBE_TRY(replay_, LogReplay::Begin(client_, snapshots_));
  CUBE_TRY_VOID(PlanSets());
  PlanSnapshots();
  CheckPlanned();
  return ReadOn();
}

Result<bool> Verifier::ReadTo(std::uint64_t decision) {
  const MonoTime deadline = client_.In(timeout_);
  while (view().valid_seq < decision) {
    CUBE_TRY(const bool more, Next());
    if (more) continue;
    CUBE_TRY_VOID(replay_->Look());
    CUBE_TRY(const bool now, Next());
    if (now) continue;
    if (client_.Mono() >= deadline) return false;
    CUBE_TRY(const auto nothing, client_.Next(client_.In(kLookEvery)));
    static_cast<void>(nothing);
  }
  return view().valid_seq == decision;
}

void Verifier::Fill(VerifyReport& report) {
  report.streams = replay_->seen();
  report.began_with = replay_->began_with();
  report.decision = view().valid_seq;
  report.terms = replay_->terms();
  report.epoch = view().term.epoch;
  report.foreign = replay_->foreign();
  report.unreadable = replay_->unreadable();
  report.stale_facts = view().stale_facts;
  report.undecided = replay_->undecided();
  report.unread = replay_->decisions_end() > view().decision_seq
                      ? replay_->decisions_end() - view().decision_seq
                      : 0;
  report.notes = replay_->notes();
  report.tasks = view().tasks.size();
  report.nodes = view().nodes.size();
  report.compared = compared_;
}

// ---- what is stored ---------------------------------------------------------------------------

void Verifier::Plan(std::uint64_t decision, Compared compared, Check check) {
  planned_.emplace(decision, Planned{std::move(compared), std::move(check)});
}

void Verifier::CheckPlanned() {
  while (!planned_.empty() && planned_.begin()->first <= view().valid_seq) {
    auto node = planned_.extract(planned_.begin());
    Planned& planned = node.mapped();
    if (node.key() == view().valid_seq) {
      planned.compared.decision = node.key();
      planned.check(planned.compared);
    } else {
      planned.compared.verdict = Verdict::kNotCompared;
      planned.compared.detail =
          node.key() <= replay_->began_with()
              ? fmt::format("as of decision {}: the log does not reach back so far", node.key())
              : fmt::format("as of decision {}, which is none of this log", node.key());
    }
    compared_.push_back(std::move(planned.compared));
  }
}

void Verifier::NotReached() {
  for (auto& [decision, planned] : planned_) {
    planned.compared.verdict = Verdict::kNotCompared;
    planned.compared.detail = fmt::format("as of decision {}, behind the log's end", decision);
    compared_.push_back(std::move(planned.compared));
  }
  planned_.clear();
}

Result<void> Verifier::PlanSets() {
  const std::string stream = client_.subjects().DesiredStream();
  const auto state = client_.State(stream);
  if (!state) {
    if (IsFinal(state.error())) return std::unexpected(state.error());
    return {};  // nobody was told anything yet
  }
  std::map<std::string, std::map<std::uint32_t, DesiredPage>> sets;
  std::uint64_t unreadable = 0;
  CUBE_TRY_VOID(client_.ReadRange(stream, std::max<std::uint64_t>(state->first_seq, 1),
                                  state->last_seq, [&](const bus::StreamMessage& message) {
                                    auto page = wire::DecodeDesired(message.payload);
                                    if (!page) {
                                      ++unreadable;
                                      return;
                                    }
                                    DesiredPage& at = sets[page->node.str()][page->page];
                                    at = *std::move(page);
                                  }));
  for (auto& [node, by_number] : sets) {
    Compared compared{"set", node, 0, Verdict::kSame, "", std::nullopt};
    const auto head = by_number.find(0);
    std::vector<DesiredPage> pages;
    for (auto& [number, page] : by_number) {
      const bool of_this =
          head != by_number.end() && number < head->second.pages && page.seq == head->second.seq;
      if (of_this) pages.push_back(page);
    }
    if (pages.empty() || pages.size() != pages.front().pages) {
      compared.verdict = Verdict::kNotCompared;
      compared.detail = "is being written";
      compared_.push_back(std::move(compared));
      continue;
    }
    const std::uint64_t seq = pages.front().seq;
    Plan(seq, std::move(compared), [this, pages = std::move(pages)](Compared& result) {
      result.difference = CompareSet(view(), pages);
      if (result.difference) result.verdict = Verdict::kDiffers;
    });
  }
  if (unreadable > 0) {
    compared_.push_back({"set", "?", 0, Verdict::kNotCompared,
                         fmt::format("{} pages cannot be read", unreadable), std::nullopt});
  }
  return {};
}

void Verifier::PlanSnapshots() {
  for (const manager::StoredManifest& stored : snapshots_) {
    const std::uint64_t decision = stored.manifest.cover.decision;
    Compared compared{"snapshot", std::to_string(decision), 0, Verdict::kSame, "", std::nullopt};
    Plan(decision, std::move(compared), [this, stored](Compared& result) {
      if (stored.manifest.cover.decision == replay_->began_with()) {
        result.detail = "whole; the log begins with it";
        return;
      }
      const auto snapshot = LoadSnapshot(client_, stored);
      if (!snapshot) {
        const bool damaged = snapshot.error().code == Code::kDataLoss;
        result.verdict = damaged ? Verdict::kDiffers : Verdict::kNotCompared;
        result.detail = snapshot.error().Text();
        return;
      }
      result.difference = CompareViews(view(), *snapshot);
      if (result.difference) result.verdict = Verdict::kDiffers;
    });
  }
}

// ---- managers ---------------------------------------------------------------------------------

Result<Verifier::ManagerAnswers> Verifier::AskManagers() {
  ManagerAnswers answers;
  v1::VerifyViewRequest request;
  request.set_min_decision(view().valid_seq);
  const std::string inbox = Client::NewInbox();
  const bus::SubId sub = client_.Listen(inbox);
  client_.Send(client_.subjects().VerifyManagers(), inbox, request.SerializeAsString());
  const MonoTime presence = client_.In(kPresence);
  const MonoTime deadline = client_.In(timeout_);
  Result<void> result;
  while (true) {
    const bool awaited =
        std::ranges::any_of(answers, [](const auto& answer) { return answer.second.begun_only; });
    const MonoTime until = awaited ? deadline : presence;
    if (client_.Mono() >= until) break;
    progress_.Waiting(fmt::format("asking the managers ({} so far)", answers.size()));
    auto message = client_.Next(std::min(until, client_.In(kLookEvery)));
    if (!message) {
      result = std::unexpected(message.error());
      break;
    }
    v1::VerifyViewReply reply;
    if (!*message || !reply.ParseFromString((*message)->payload) || reply.instance() == 0) continue;
    ManagerAnswer& answer = answers[reply.instance()];
    answer.begun_only = reply.begun();
    answer.reply = std::move(reply);
  }
  client_.StopListening(sub);
  CUBE_TRY_VOID(result);
  return answers;
}

Result<void> Verifier::CompareManagers() {
  CUBE_TRY(const ManagerAnswers answers, AskManagers());
  std::vector<const v1::VerifyViewReply*> replies;
  std::set<std::string> names;
  for (const auto& [instance, answer] : answers) {
    names.insert(answer.reply.manager());
    if (!answer.begun_only && !answer.reply.has_failure()) {
      replies.push_back(&answer.reply);
      continue;
    }
    compared_.push_back({"manager", answer.reply.manager(), 0, Verdict::kNoAnswer,
                         answer.begun_only ? "was asked, and has not answered in time"
                                           : wire::FromProto(answer.reply.failure()).Text(),
                         std::nullopt});
  }
  // The log is read on from one to the next.
  std::ranges::sort(replies, {}, [](const auto* reply) { return reply->decision(); });
  std::vector<std::pair<const v1::VerifyViewReply*, DifferentRange>> different;
  for (const v1::VerifyViewReply* reply : replies) {
    CUBE_TRY(Compared compared, CompareManager(*reply));
    compared_.push_back(std::move(compared));
  }
  if (view().term_start && !names.contains(view().term_start->manager)) {
    compared_.push_back({"manager", view().term_start->manager, 0, Verdict::kNoAnswer,
                         "wrote the last decision, and does not answer", std::nullopt});
  }
  return {};
}

Result<Compared> Verifier::CompareManager(const v1::VerifyViewReply& reply) {
  Compared compared{"manager",
                    reply.manager(),
                    reply.decision(),
                    Verdict::kSame,
                    reply.leading() ? "leads" : "follows",
                    std::nullopt};
  CUBE_TRY(const bool there, ReadTo(reply.decision()));
  const Stamp stamp = wire::FromProto(reply.stamp());
  const auto ranges = RangesFrom(reply);
  if (!there || stamp != view().stamp) {
    compared.verdict = Verdict::kDiffers;
    compared.detail =
        there ? "another message than the log's is the last that it has folded"
              : fmt::format("is as of decision {}, which the log does not have", reply.decision());
  } else if (!ranges) {
    compared.verdict = Verdict::kNoAnswer;
    compared.detail = "its answer cannot be read: " + ranges.error().Text();
  } else if (const auto range = FirstDifferentRange(view(), *ranges)) {
    compared.verdict = Verdict::kDiffers;
    CUBE_TRY_VOID(NameRecord(reply, *range, compared));
  }
  return compared;
}

Result<void> Verifier::NameRecord(const v1::VerifyViewReply& reply, const DifferentRange& range,
                                  Compared& compared) {
  compared.detail = fmt::format("{} records, the log has {}; they were the same when asked again",
                                range.service_records, range.log_records);
  v1::RecordRange wanted;
  wanted.set_kind(static_cast<v1::RecordKind>(range.kind));
  wanted.set_first(range.first);
  wanted.set_end(range.end);
  while (true) {
    CUBE_TRY(const auto page, AskRecords(reply.instance(), wanted));
    if (!page) {
      compared.detail = "the manager does not name its records any more";
      return {};
    }
    CUBE_TRY(const bool there, ReadTo(page->decision()));
    if (!there) return {};
    const std::string end = page->next().empty() ? range.end : page->next();
    Records records;
    for (const v1::ViewRecord& record : page->records()) {
      records.emplace(record.key(), record.value());
    }
    compared.difference =
        CompareRecordLists(range.kind, RecordsIn(view(), range.kind, wanted.first(), end), records);
    if (compared.difference) compared.decision = page->decision();
    if (compared.difference || page->next().empty()) return {};
    wanted.set_first(page->next());
  }
}

Result<std::optional<v1::VerifyViewReply>> Verifier::AskRecords(std::uint64_t instance,
                                                                const v1::RecordRange& range) {
  v1::VerifyViewRequest request;
  request.set_min_decision(view().valid_seq);
  request.set_instance(instance);
  *request.mutable_range() = range;
  const std::string inbox = Client::NewInbox();
  const bus::SubId sub = client_.Listen(inbox);
  client_.Send(client_.subjects().VerifyManagers(), inbox, request.SerializeAsString());
  const MonoTime deadline = client_.In(timeout_);
  Result<std::optional<v1::VerifyViewReply>> result = std::nullopt;
  while (client_.Mono() < deadline) {
    auto message = client_.Next(deadline);
    if (!message) {
      result = std::unexpected(message.error());
      break;
    }
    v1::VerifyViewReply reply;
    if (!*message || !reply.ParseFromString((*message)->payload)) continue;
    if (reply.instance() != instance || reply.begun()) continue;
    if (!reply.has_failure()) result = std::move(reply);
    break;
  }
  client_.StopListening(sub);
  return result;
}

// ---- workers ----------------------------------------------------------------------------------

Result<std::optional<v1::VerifyNodeReply>> Verifier::AskWorker(const std::string& node) {
  for (int tries = 0; tries < kLooks; ++tries) {
    v1::VerifyNodeRequest request;
    std::optional<v1::VerifyNodeReply> whole;
    bool moved = false;
    do {
      auto payload =
          client_.Request(client_.subjects().VerifyNode(node), request.SerializeAsString());
      if (!payload) {
        if (IsFinal(payload.error())) return std::unexpected(payload.error());
        return std::nullopt;
      }
      v1::VerifyNodeReply page;
      if (!page.ParseFromString(*payload) || page.node() != node) return std::nullopt;
      request.set_task(page.next());
      if (!whole) {
        whole = std::move(page);
        continue;
      }
      moved = page.position() != whole->position() || page.last_fact() != whole->last_fact() ||
              page.forgotten_fact() != whole->forgotten_fact();
      whole->mutable_attempts()->MergeFrom(page.attempts());
    } while (!request.task().empty() && !moved);
    if (!moved) return whole;
  }
  return std::nullopt;
}

Result<void> Verifier::CompareWorker(const std::string& node, Compared& compared) {
  for (int look = 0; look < kLooks; ++look) {
    if (look > 0) {
      CUBE_TRY(const auto nothing, client_.Next(client_.In(kBetweenLooks)));
      static_cast<void>(nothing);
    }
    CUBE_TRY(const auto held, AskWorker(node));
    // What it has told since must be in the log before the two are compared.
    CUBE_TRY_VOID(replay_->Look());
    CUBE_TRY_VOID(ReadOn());
    const auto now = view().nodes.find(NodeName::Trusted(node));
    const bool up = now != view().nodes.end() && !now->second.down && !now->second.left;
    if (!held) {
      compared.verdict = up ? Verdict::kNoAnswer : Verdict::kNotCompared;
      compared.detail = up ? "is up, and does not answer" : "is down";
      if (!up) return {};
      continue;
    }
    const HeldCheck check = CompareHeld(view(), *held);
    compared.decision = view().valid_seq;
    compared.difference = check.difference;
    compared.verdict = check.difference ? Verdict::kDiffers : Verdict::kSame;
    compared.detail =
        check.difference ? std::string() : fmt::format("{} attempts", held->attempts_size());
    if (!check.difference) return {};
  }
  return {};
}

Result<void> Verifier::CompareWorkers() {
  std::vector<std::string> nodes;
  for (const auto& [name, node] : view().nodes) {
    if (node.incarnation != 0) nodes.push_back(name.str());
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    progress_.Waiting(fmt::format("asking worker {} of {}", i + 1, nodes.size()));
    Compared compared{"worker", nodes[i], 0, Verdict::kSame, "", std::nullopt};
    CUBE_TRY_VOID(CompareWorker(nodes[i], compared));
    compared_.push_back(std::move(compared));
  }
  return {};
}

Result<VerifyReport> Verifier::Run(bool offline) {
  CUBE_TRY_VOID(ReadLog());
  if (!offline) {
    CUBE_TRY_VOID(CompareManagers());
    CUBE_TRY_VOID(CompareWorkers());
  }
  CUBE_TRY_VOID(ReadOn());
  NotReached();
  progress_.Clear();
  std::ranges::sort(compared_, {}, [](const Compared& c) { return std::tie(c.kind, c.name); });
  VerifyReport report;
  Fill(report);
  return report;
}

}  // namespace cube::cli
