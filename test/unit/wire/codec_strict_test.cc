// What decoders refuse, and where they say the fault is: one broken field at a time.
#include <cube/v1/decisions.pb.h>
#include <cube/v1/desired.pb.h>
#include <cube/v1/facts.pb.h>
#include <cube/v1/heartbeats.pb.h>
#include <gtest/gtest.h>

#include <functional>

#include "shared/wire/codec.h"
#include "shared/wire/convert.h"
#include "shared/wire/limits.h"

namespace cube::wire {
namespace {

template <class Message>
struct Case {
  std::function<void(Message&)> change;
  const char* field;
};

// Each case alone makes a good message bad, with the error at its field.
template <class Message, class Decode>
void Check(const Message& good, Decode decode, const std::vector<Case<Message>>& cases) {
  const auto accepted = decode(good.SerializeAsString());
  ASSERT_TRUE(accepted) << accepted.error().Text();
  for (const Case<Message>& c : cases) {
    Message bad = good;
    c.change(bad);
    const auto result = decode(bad.SerializeAsString());
    ASSERT_FALSE(result) << c.field;
    EXPECT_EQ(result.error().field, c.field) << result.error().Text();
    EXPECT_FALSE(result.error().message.empty()) << c.field;
  }
}

void GoodSpec(v1::TaskSpec& spec) {
  spec.set_name("web");
  spec.set_image("nginx");
}

v1::Decisions GoodDecisions() {
  v1::Decisions m;
  m.mutable_term()->set_epoch(1);
  m.mutable_term()->set_term_id(2);
  m.set_cycle(1);
  m.set_decided_at_ns(1);
  m.add_nodes("node-a");
  GoodSpec(*m.add_specs());
  m.add_explanations()->set_scheduler("spread");
  v1::StartAttempt* start = m.add_items()->mutable_start();
  start->set_task("web-1");
  start->set_attempt(1);
  v1::StopAttempt* stop = m.add_items()->mutable_stop();
  stop->set_task("web-1");
  stop->set_attempt(1);
  m.add_items()->mutable_refuse()->set_intent(1);
  m.add_items()->mutable_node_down();
  v1::WelcomeNode* welcome = m.add_items()->mutable_welcome();
  welcome->set_instance(1);
  welcome->set_incarnation(1);
  m.add_items()->mutable_refuse_node()->set_instance(1);
  m.add_items()->mutable_forget()->set_task("web-1");
  m.add_items()->mutable_load();
  v1::EvictAttempt* evict = m.add_items()->mutable_evict();
  evict->set_task("web-1");
  evict->set_attempt(1);
  v1::FillSlots* fill = m.add_items()->mutable_fill_slots();
  fill->set_job("web");
  fill->set_version(1);
  fill->set_count(1);
  v1::EndJob* end = m.add_items()->mutable_end_job();
  end->set_job("web");
  end->set_end(v1::JOB_END_STOPPED);
  return m;
}

TEST(Strict, DecisionsHead) {
  using M = v1::Decisions;
  M good = GoodDecisions();
  good.mutable_term_start()->set_cluster("c1");
  good.mutable_term_start()->mutable_settings()->set_scheduler("spread");
  Check<M>(
      good, DecodeDecisions,
      {{[](M& m) { m.clear_term(); }, "term"},
       {[](M& m) { m.mutable_term()->set_term_id(0); }, "term"},
       {[](M& m) { m.set_cycle(0); }, "cycle"},
       {[](M& m) { m.mutable_prev()->set_cycle(1); }, "prev"},
       {[](M& m) { m.mutable_told()->set_term_id(1); }, "told"},
       {[](M& m) { m.mutable_intents()->set_time_ns(1); }, "intents"},
       {[](M& m) { m.mutable_facts()->set_time_ns(1); }, "facts"},
       {[](M& m) { m.set_decided_at_ns(-1); }, "decided_at"},
       {[](M& m) { m.mutable_term_start()->clear_cluster(); }, "term_start.cluster"},
       {[](M& m) { m.mutable_term_start()->set_manager(std::string(300, 'a')); },
        "term_start.manager"},
       {[](M& m) { m.mutable_term_start()->clear_settings(); }, "term_start.settings.scheduler"},
       {[](M& m) { m.mutable_term_start()->mutable_settings()->set_finished_age_max_ns(-1); },
        "term_start.settings.finished_age_max"}});
}

TEST(Strict, DecisionsTables) {
  using M = v1::Decisions;
  Check<M>(
      GoodDecisions(), DecodeDecisions,
      {{[](M& m) { m.add_nodes("Node"); }, "nodes[1]"},
       {[](M& m) { m.add_nodes(""); }, "nodes[1]"},
       {[](M& m) { m.mutable_specs(0)->clear_name(); }, "specs[0].name"},
       {[](M& m) { m.mutable_specs(0)->add_ports()->set_port(70'000); }, "specs[0].ports[0].port"},
       {[](M& m) { m.mutable_specs(0)->add_affinities(); }, "specs[0].affinities[0].rule.op"},
       {[](M& m) { m.mutable_specs(0)->set_scheduler("best"); }, "specs[0].scheduler"},
       {[](M& m) { m.mutable_explanations(0)->set_runner_up(2); }, "explanations[0].runner_up"},
       {[](M& m) {
          for (std::size_t i = 0; i <= kFiltersMax; ++i) {
            m.mutable_explanations(0)->add_filtered();
          }
        },
        "explanations[0].filtered"},
       {[](M& m) {
          for (std::size_t i = 0; i <= kItemsMax; ++i) *m.add_items() = m.items(6);
        },
        "items"}});
}

TEST(Strict, DecisionsItems) {
  using M = v1::Decisions;
  Check<M>(
      GoodDecisions(), DecodeDecisions,
      {{[](M& m) { m.mutable_items(0)->mutable_start()->set_task("A"); }, "items[0].task"},
       {[](M& m) { m.mutable_items(0)->mutable_start()->set_attempt(0); }, "items[0].attempt"},
       {[](M& m) { m.mutable_items(0)->mutable_start()->set_node(1); }, "items[0].node"},
       {[](M& m) { m.mutable_items(0)->mutable_start()->set_spec(1); }, "items[0].spec"},
       {[](M& m) { m.mutable_items(0)->mutable_start()->set_explanation(1); },
        "items[0].explanation"},
       {[](M& m) { m.mutable_items(1)->mutable_stop()->set_grace_ns(-1); }, "items[1].grace"},
       {[](M& m) { m.mutable_items(1)->mutable_stop()->set_node(9); }, "items[1].node"},
       {[](M& m) { m.mutable_items(2)->mutable_refuse()->set_intent(0); }, "items[2].intent"},
       {[](M& m) { m.mutable_items(2)->mutable_refuse()->set_task(std::string(300, 'a')); },
        "items[2].task"},
       {[](M& m) {
          m.mutable_items(2)->mutable_refuse()->mutable_failure()->set_message(
              std::string(kSentenceBytesMax + 1, 'a'));
        },
        "items[2].failure.message"},
       {[](M& m) { m.mutable_items(3)->mutable_node_down()->set_node(1); }, "items[3].node"},
       {[](M& m) { m.mutable_items(4)->mutable_welcome()->set_instance(0); }, "items[4].instance"},
       {[](M& m) { m.mutable_items(4)->mutable_welcome()->set_incarnation(0); },
        "items[4].incarnation"},
       {[](M& m) { m.mutable_items(5)->mutable_refuse_node()->set_instance(0); },
        "items[5].instance"},
       {[](M& m) { m.mutable_items(6)->mutable_forget()->clear_task(); }, "items[6].task"},
       {[](M& m) { m.mutable_items(7)->mutable_load()->set_node(1); }, "items[7].node"},
       {[](M& m) { m.mutable_items(7)->mutable_load()->mutable_load()->set_disk(17); },
        "items[7].load.disk"},
       {[](M& m) { m.mutable_items(8)->mutable_evict()->clear_attempt(); }, "items[8].attempt"},
       {[](M& m) { m.mutable_items(8)->mutable_evict()->set_node(1); }, "items[8].node"},
       {[](M& m) { m.mutable_items(8)->mutable_evict()->set_grace_ns(-1); }, "items[8].grace"},
       {[](M& m) { m.mutable_items(9)->mutable_fill_slots()->set_job("W"); }, "items[9].job"},
       {[](M& m) { m.mutable_items(9)->mutable_fill_slots()->set_version(0); }, "items[9].version"},
       {[](M& m) { m.mutable_items(9)->mutable_fill_slots()->set_count(kSlotsPerItemMax + 1); },
        "items[9].count"},
       {[](M& m) { m.mutable_items(9)->mutable_fill_slots()->set_first(4'000'000'000U); },
        "items[9].first"},
       {[](M& m) { m.mutable_items(9)->mutable_fill_slots()->set_node(2); }, "items[9].node"},
       {[](M& m) { m.mutable_items(10)->mutable_end_job()->clear_end(); }, "items[10].end"},
       {[](M& m) { m.add_items(); }, "items[11]"}});
}

TEST(Strict, AnUnknownDecisionIsUnsupported) {
  v1::Decisions m = GoodDecisions();
  m.add_items();
  EXPECT_EQ(DecodeDecisions(m.SerializeAsString()).error().code, Code::kUnsupported);
}

v1::Facts GoodFacts() {
  v1::Facts m;
  m.set_node("node-a");
  m.set_instance(1);
  m.set_first_number(1);
  v1::LaunchFact* launch = m.add_facts()->mutable_launch();
  launch->set_task("web-1");
  launch->set_attempt(1);
  launch->mutable_placement()->set_term_id(1);
  launch->mutable_placement()->set_cycle(1);
  launch->set_state(v1::LAUNCH_STATE_EXITED);
  launch->set_cause(v1::EXIT_CAUSE_EXITED);
  v1::BoundPort* port = launch->add_ports();
  port->set_port(80);
  port->set_host_port(8080);
  m.add_facts()->mutable_described()->add_engines()->set_kind("docker");
  return m;
}

// An attempt that is held, with what was seen of it, for cases to spoil.
v1::AttemptHeld* AddHeld(v1::Facts& m) {
  const v1::LaunchFact seen = m.facts(0).launch();
  v1::AttemptHeld* held = m.add_facts()->mutable_held();
  held->set_task(seen.task());
  held->set_attempt(seen.attempt());
  *held->mutable_placement() = seen.placement();
  *held->mutable_observed() = seen;
  v1::HealthFact* health = held->mutable_health();
  health->set_task(seen.task());
  health->set_attempt(seen.attempt());
  *health->mutable_placement() = seen.placement();
  return held;
}

TEST(Strict, WhatIsSaidOfAHeldAttemptIsOfIt) {
  v1::Facts good = GoodFacts();
  AddHeld(good);
  const auto decode = [](const std::string& bytes) { return DecodeFacts("node-a", bytes); };
  using M = v1::Facts;
  const auto held = [](M& m) { return m.mutable_facts(2)->mutable_held(); };
  Check<M>(
      good, decode,
      {{[&](M& m) { held(m)->mutable_observed()->set_task("web-2"); }, "facts[2].held.observed"},
       {[&](M& m) { held(m)->mutable_observed()->set_attempt(2); }, "facts[2].held.observed"},
       {[&](M& m) { held(m)->mutable_health()->set_task("web-2"); }, "facts[2].held.health"},
       {[&](M& m) { held(m)->mutable_health()->set_attempt(2); }, "facts[2].held.health"}});
}

TEST(Strict, Facts) {
  using M = v1::Facts;
  const auto decode = [](const std::string& bytes) { return DecodeFacts("node-a", bytes); };
  const auto launch = [](M& m) { return m.mutable_facts(0)->mutable_launch(); };
  const auto node = [](M& m) { return m.mutable_facts(1)->mutable_described(); };
  Check<M>(
      GoodFacts(), decode,
      {{[](M& m) { m.set_node("node-b"); }, "node"},
       {[](M& m) { m.set_node("Node"); }, "node"},
       {[](M& m) { m.set_instance(0); }, "instance"},
       {[](M& m) { m.set_first_number(0); }, "first_number"},
       {[](M& m) { m.set_first_number(~std::uint64_t{0}); }, "first_number"},
       {[](M& m) { m.add_facts(); }, "facts[2]"},
       {[](M& m) { m.add_facts()->mutable_reported(); }, "facts[2].reported.up"},
       // What is counted on from must not begin again at 0.
       {[](M& m) { m.add_facts()->mutable_joined()->set_incarnation(~0u); },
        "facts[2].joined.incarnation"},
       {[](M& m) {
          m.add_facts()->mutable_held()->set_task("a");
          m.mutable_facts(2)->mutable_held()->set_attempt(~0u);
        },
        "facts[2].held.attempt"},
       {[&](M& m) { launch(m)->set_task(""); }, "facts[0].launch.task"},
       {[&](M& m) { launch(m)->set_attempt(0); }, "facts[0].launch.attempt"},
       {[&](M& m) { launch(m)->clear_placement(); }, "facts[0].launch.placement"},
       {[&](M& m) { launch(m)->set_state(v1::LAUNCH_STATE_UNSPECIFIED); }, "facts[0].launch.state"},
       {[&](M& m) { launch(m)->set_state(static_cast<v1::LaunchState>(15)); },
        "facts[0].launch.state"},
       {[&](M& m) { launch(m)->set_cause(static_cast<v1::ExitCause>(77)); },
        "facts[0].launch.cause"},
       {[&](M& m) { launch(m)->clear_cause(); }, "facts[0].launch.cause"},
       {[&](M& m) { launch(m)->set_state(v1::LAUNCH_STATE_RUNNING); }, "facts[0].launch.cause"},
       {[&](M& m) { launch(m)->set_detail(std::string(kSentenceBytesMax + 1, 'a')); },
        "facts[0].launch.detail"},
       {[&](M& m) { launch(m)->set_container_id(std::string(kWordBytesMax + 1, 'a')); },
        "facts[0].launch.container_id"},
       {[&](M& m) { launch(m)->mutable_ports(0)->set_host_port(65'536); },
        "facts[0].launch.ports[0].host_port"},
       {[&](M& m) { launch(m)->mutable_ports(0)->set_port(0); }, "facts[0].launch.ports[0].port"},
       {[&](M& m) { launch(m)->mutable_ports(0)->set_protocol(static_cast<v1::Protocol>(9)); },
        "facts[0].launch.ports[0].protocol"},
       {[&](M& m) { node(m)->mutable_capacity()->set_memory_bytes(-1); },
        "facts[1].described.capacity.memory"},
       {[&](M& m) { node(m)->mutable_capacity()->set_cpu_millis(kCpuMillisMax + 1); },
        "facts[1].described.capacity.cpus"},
       {[&](M& m) { node(m)->set_tasks_max(kNodeTasksMax + 1); }, "facts[1].described.tasks_max"},
       {[&](M& m) { (*node(m)->mutable_labels())["a b"] = "x"; }, "facts[1].described.labels"},
       {[&](M& m) { node(m)->mutable_engines(0)->set_kind(""); },
        "facts[1].described.engines[0].kind"},
       {[&](M& m) { node(m)->set_version(std::string(300, 'a')); }, "facts[1].described.version"},
       {[&](M& m) { node(m)->set_address(std::string(300, 'a')); }, "facts[1].described.address"},
       {[&](M& m) { node(m)->set_address("/n2"); }, "facts[1].described.address"}});
}

TEST(Strict, Assign) {
  using M = v1::Assign;
  M good;
  good.mutable_term()->set_epoch(1);
  good.mutable_term()->set_term_id(1);
  good.set_node("node-a");
  good.set_seq(2);
  good.set_prev(1);
  good.mutable_stamp()->set_term_id(1);
  good.mutable_stamp()->set_cycle(1);
  GoodSpec(*good.add_specs());
  v1::Assignment* start = good.add_items()->mutable_start();
  start->set_task("web-1");
  start->set_attempt(1);
  v1::StopAssignment* stop = good.add_items()->mutable_stop();
  stop->set_task("web-1");
  stop->set_attempt(1);
  const auto item = [](M& m) { return m.mutable_items(0)->mutable_start(); };
  Check<M>(good, DecodeAssign,
           {{[](M& m) { m.clear_term(); }, "term"},
            {[](M& m) { m.set_node("-"); }, "node"},
            {[](M& m) { m.set_seq(0); }, "seq"},
            {[](M& m) { m.set_prev(3); }, "prev"},
            {[](M& m) { m.mutable_stamp()->set_cycle(0); }, "stamp"},
            {[](M& m) { m.clear_stamp(); }, "items[0].placement"},
            {[](M& m) { m.set_cluster("a b"); }, "cluster"},
            {[](M& m) { m.mutable_specs(0)->set_engine("x"); }, "specs[0].engine"},
            {[&](M& m) { item(m)->set_attempt(0); }, "items[0].attempt"},
            {[&](M& m) { item(m)->set_spec(1); }, "items[0].spec"},
            {[&](M& m) { item(m)->set_task("a.b"); }, "items[0].task"},
            {[&](M& m) { item(m)->set_grace_ns(-1); }, "items[0].grace"},
            {[](M& m) { m.mutable_items(1)->mutable_stop()->set_attempt(0); }, "items[1].attempt"},
            {[](M& m) { m.add_items()->mutable_welcomed(); }, "items[2].instance"},
            {[](M& m) { m.add_items()->mutable_refused(); }, "items[2].instance"},
            {[](M& m) { m.add_items(); }, "items[2]"}});
}

TEST(Strict, Desired) {
  using M = v1::DesiredPage;
  M good;
  good.mutable_term()->set_epoch(1);
  good.mutable_term()->set_term_id(1);
  good.set_node("node-a");
  good.set_seq(2);
  good.set_pages(1);
  GoodSpec(*good.add_specs());
  v1::Assignment* assignment = good.add_assignments();
  assignment->set_task("web-1");
  assignment->set_attempt(1);
  assignment->mutable_placement()->set_term_id(1);
  assignment->mutable_placement()->set_cycle(1);
  Check<M>(good, DecodeDesired,
           {{[](M& m) { m.clear_term(); }, "term"},
            {[](M& m) { m.set_node(""); }, "node"},
            {[](M& m) { m.set_seq(0); }, "seq"},
            {[](M& m) { m.set_pages(0); }, "pages"},
            {[](M& m) { m.set_pages(kDesiredPagesMax + 1); }, "pages"},
            {[](M& m) { m.set_page(1); }, "page"},
            {[](M& m) { m.mutable_report()->set_cycle(1); }, "report"},
            {[](M& m) { m.set_cluster("-"); }, "cluster"},
            {[](M& m) { m.mutable_assignments(0)->clear_placement(); }, "assignments[0].placement"},
            {[](M& m) { m.mutable_assignments(0)->set_spec(7); }, "assignments[0].spec"}});
}

TEST(Strict, Heartbeat) {
  using M = v1::Heartbeat;
  M good;
  good.set_node("node-a");
  good.set_instance(1);
  Check<M>(good, DecodeHeartbeat,
           {{[](M& m) { m.set_node("-other"); }, "node"},
            {[](M& m) { m.set_node(""); }, "node"},
            {[](M& m) { m.set_instance(0); }, "instance"}});
  M leader;
  leader.set_node("-leader");
  EXPECT_TRUE(DecodeHeartbeat(leader.SerializeAsString()));
}

TEST(Strict, Spec) {
  using M = v1::TaskSpec;
  M good;
  GoodSpec(good);
  const auto decode = [](const std::string& bytes) {
    M spec;
    EXPECT_TRUE(spec.ParseFromString(bytes));
    return FromProto(spec);
  };
  Check<M>(
      good, decode,
      {{[](M& m) { m.set_name("Web"); }, "name"},
       {[](M& m) { m.mutable_restart()->set_mode(static_cast<v1::RestartMode>(11)); }, "restart"},
       {[](M& m) { m.mutable_restart()->set_launches_max(3); }, "restart"},
       {[](M& m) { m.set_pull(static_cast<v1::PullPolicy>(9)); }, "pull"},
       {[](M& m) { m.add_constraints()->set_label("gpu"); }, "constraints[0].op"},
       {[](M& m) { m.mutable_health(); }, "health.kind"},
       {[](M& m) { m.mutable_health()->set_kind(v1::HealthCheck::KIND_TCP); }, "health.port"},
       {[](M& m) {
          m.mutable_health()->set_kind(v1::HealthCheck::KIND_TCP);
          m.mutable_health()->set_port(65536);
        },
        "health.port"},
       {[](M& m) {
          m.mutable_health()->set_kind(v1::HealthCheck::KIND_TCP);
          m.mutable_health()->set_on_failure(static_cast<v1::HealthCheck::OnFailure>(7));
        },
        "health.on_failure"},
       {[](M& m) { m.mutable_reschedule()->set_mode(static_cast<v1::ReschedulePolicy::Mode>(7)); },
        "reschedule"},
       {[](M& m) { m.mutable_reschedule()->set_moves_max(2); }, "reschedule"},
       {[](M& m) { m.set_stop_grace_ns(-1); }, "stop_grace"},
       {[](M& m) { m.mutable_resources()->set_cpu_millis(-1); }, "cpus"},
       {[](M& m) { m.add_ports()->set_port(0); }, "ports[0].port"},
       {[](M& m) {
          for (std::size_t i = 0; i <= kPortsMax; ++i) m.add_ports()->set_port(80);
        },
        "ports"}});
}

TEST(Strict, WhatAPolicyLeavesOutIsItsDefault) {
  v1::TaskSpec proto;
  GoodSpec(proto);
  proto.mutable_health()->set_kind(v1::HealthCheck::KIND_TCP);
  proto.mutable_health()->set_port(80);
  proto.mutable_reschedule()->set_mode(v1::ReschedulePolicy::MODE_ON_FAILURE);
  const auto spec = FromProto(proto);
  ASSERT_TRUE(spec) << spec.error().Text();
  HealthCheck wanted;
  wanted.kind = HealthCheck::Kind::kTcp;
  wanted.port = 80;
  EXPECT_EQ(spec->health, wanted);
  EXPECT_EQ(spec->reschedule, (ReschedulePolicy{ReschedulePolicy::Mode::kOnFailure, 3}));
}

TEST(Strict, TheOlderFormOfNeverMovingIsRead) {
  v1::TaskSpec proto;
  GoodSpec(proto);
  proto.set_reschedule_never(true);
  const auto spec = FromProto(proto);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->reschedule.mode, ReschedulePolicy::Mode::kNever);
}

TEST(Strict, SignalsGetOneName) {
  v1::TaskSpec proto;
  GoodSpec(proto);
  proto.set_stop_signal("int");
  const auto spec = FromProto(proto);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->stop_signal, "SIGINT");
}

TEST(Strict, AnythingLongerThanAMessageIsRefused) {
  const std::string bytes(kMessageBytesMax + 1, '\n');
  EXPECT_FALSE(DecodeHeartbeat(bytes));
  EXPECT_FALSE(DecodeDecisions(bytes));
}

TEST(Clean, TextsFromElsewhereNeverCostTheMessage) {
  LaunchFact fact;
  fact.key = {TaskId::Trusted("web-1"), 1, 0};
  fact.placement = {1, 1};
  fact.detail = std::string(5000, 'x') + "\xFF";
  fact.container_id = "\xFF";
  FactBatch batch;
  batch.node = NodeName::Trusted("node-a");
  batch.instance = 1;
  batch.first_number = 1;
  batch.facts.push_back({WallTime{}, fact});
  const auto back = DecodeFacts("node-a", EncodeFacts(batch));
  ASSERT_TRUE(back) << back.error().Text();
  const auto& launch = std::get<LaunchFact>(back->facts.front().what);
  EXPECT_LE(launch.detail.size(), kSentenceBytesMax);
  EXPECT_TRUE(launch.detail.starts_with("xxx"));
  EXPECT_EQ(launch.container_id, "\uFFFD");
}

TEST(Failure, CodesHaveStableNames) {
  for (int i = 0; i < 12; ++i) {
    const Error error{static_cast<Code>(i), "why", "field"};
    v1::Failure proto;
    ToProto(error, proto);
    EXPECT_EQ(FromProto(proto), error);
  }
  v1::Failure later;
  later.set_code("of_a_later_version");
  EXPECT_EQ(FromProto(later).code, Code::kInternal);
}

}  // namespace
}  // namespace cube::wire
