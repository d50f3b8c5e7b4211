#include "shared/bus/server_version.h"

#include <gtest/gtest.h>

namespace cube::bus {
namespace {

TEST(ServerVersion, OlderByEachPart) {
  for (const char* older : {"2.9.10", "2.10.22", "1.99.99", "v2.10.0", "2.10.22-RC.1"}) {
    EXPECT_TRUE(IsOlder(older, kReplicasSince)) << older;
  }
  for (const char* newer : {"2.10.23", "2.10.27", "2.15.1", "v2.11.0-RC.1", "3.0.0"}) {
    EXPECT_FALSE(IsOlder(newer, kReplicasSince)) << newer;
  }
}

TEST(ServerVersion, WhatCannotBeReadIsNotOlder) {
  for (const char* odd :
       {"", "v", "2", "2.9", "2.9.", "main", "2.-9.1", "2.x.1", "99999999999.1.1"}) {
    EXPECT_FALSE(IsOlder(odd, kReplicasSince)) << odd;
  }
}

}  // namespace
}  // namespace cube::bus
