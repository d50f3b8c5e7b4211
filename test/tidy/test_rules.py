#!/usr/bin/env python3
"""Every house rule finds what it is for, in the right line, and leaves good text alone."""

import pathlib
import tempfile
import unittest

import cpp_text
import parity
import rules
import schema
import tidy


def lines(rule, path, text, *more):
    return [line for line, _ in rule(path, text, *more)]


CORE = "services/manager/core/decide.cc"


class Sizes(unittest.TestCase):
    def test_file_size(self):
        self.assertEqual(lines(rules.file_size, "a.cc", "x\n" * 600), [])
        self.assertEqual(lines(rules.file_size, "a.cc", "x\n" * 601), [601])

    def test_line_length(self):
        self.assertEqual(lines(rules.line_length, "a.cc", "x" * 100 + "\n" + "x" * 101), [2])

    def test_function_length(self):
        short = "int F() {\n" + "  x();\n" * 68 + "}\n"
        self.assertEqual(lines(rules.function_length, "a.cc", short), [])
        long = "namespace cube {\nint F() {\n" + "  x();\n" * 69 + "}\n}  // namespace cube\n"
        self.assertEqual(lines(rules.function_length, "a.cc", long), [2])

    def test_long_method_and_constructor(self):
        body = "  if (a) { b(); }\n" * 70
        method = "class A {\n public:\n  void F() const {\n" + body + "  }\n};\n"
        self.assertEqual(lines(rules.function_length, "a.h", method), [3])
        constructor = "A::A() : a_{1},\n      b_(2) {\n" + body + "}\n"
        self.assertEqual(len(lines(rules.function_length, "a.cc", constructor)), 1)

    def test_long_tables_are_no_functions(self):
        table = "constexpr std::array<X, 90> kT{{\n" + '  {"a", F(1)},\n' * 90 + "}};\n"
        self.assertEqual(lines(rules.function_length, "a.cc", table), [])
        self.assertEqual(lines(rules.function_length, "a.cc", table.replace("{{", " = {{", 1)), [])

    def test_braces_in_literals_and_comments_do_not_count(self):
        text = 'void F() {\n  g("}", R"(}})", \'}\');  // }\n  /* } */\n' + "  x();\n" * 70 + "}\n"
        self.assertEqual(cpp_text.functions(text), [(1, 74)])


class Includes(unittest.TestCase):
    def test_from_root(self):
        text = '#include "decide.h"\n#include "../a.h"\n#include "shared/base/error.h"\n'
        self.assertEqual(lines(rules.include_from_root, CORE, text), [1, 2])

    def test_layers(self):
        text = ('#include "shared/base/error.h"\n#include "shared/bus/bus.h"\n'
                '#include "services/manager/core/view.h"\n#include "services/manager/loop.h"\n')
        self.assertEqual(lines(rules.include_layers, CORE, text), [2, 4])

    def test_lower_layer_does_not_look_up(self):
        text = '#include "shared/cluster/fold.h"\n'
        self.assertEqual(lines(rules.include_layers, "shared/domain/ids.cc", text), [1])

    def test_services_do_not_see_each_other(self):
        text = '#include "services/worker/core/reconcile.h"\n'
        self.assertEqual(lines(rules.include_layers, "services/manager/loop.cc", text), [1])
        self.assertEqual(lines(rules.include_layers, "services/worker/loop.cc", text), [])

    def test_folder_without_layer(self):
        self.assertEqual(lines(rules.include_layers, "shared/misc/a.cc", ""), [1])

    def test_libraries(self):
        text = "#include <nats/nats.h>\n#include <lmdb.h>\n#include <spdlog/spdlog.h>\n"
        self.assertEqual(lines(rules.include_libraries, "shared/bus/nats_bus.cc", text), [2, 3])
        text = "#include <curl/curl.h>\n#include <cube/v1/facts.pb.h>\n"
        self.assertEqual(lines(rules.include_libraries, CORE, text), [1, 2])
        self.assertEqual(lines(rules.include_libraries, "services/manager/a.cc", text), [1])

    def test_impure_standard_headers(self):
        text = "#include <map>\n#include <thread>\n#include <random>\n#include <fstream>\n"
        self.assertEqual(lines(rules.include_libraries, CORE, text), [2, 3, 4])
        self.assertEqual(lines(rules.include_libraries, "shared/bus/nats_bus.cc", text), [])


class Calls(unittest.TestCase):
    def test_each_banned_call(self):
        for call in ("auto t = std::chrono::system_clock::now();", "steady_clock::now()",
                     "rand()", "std::random_device d;", "std::thread t;", "std::mutex m;",
                     "std::atomic<int> a;", "spdlog::info(1);", "std::getenv(name)",
                     "printf(1)", "std::fprintf(stderr, 1)", "std::cout << 1;", "time(nullptr)",
                     "std::this_thread::sleep_for(d)", "fopen(a, b)",
                     "clock_gettime(CLOCK_REALTIME"):
            with self.subTest(call):
                self.assertEqual(lines(rules.pure_calls, CORE, f"int a;\n{call}\n"), [2])
                self.assertEqual(lines(rules.pure_calls, "shared/bus/a.cc", call), [])

    def test_words_like_them_are_free(self):
        text = ('// rand() and std::mutex\nconst char* k = "printf(";\nstd::snprintf(b, n, f);\n'
                "x.operand(); WallTime time(now); runtime(0);\n")
        self.assertEqual(lines(rules.pure_calls, CORE, text), [])

    def test_error_text(self):
        text = ('if (r.error().message == "x") {}\nif (error.Text().find("y")) {}\n'
                "use(error.message);")
        self.assertEqual(lines(rules.error_text_compared, CORE, text), [1, 2])

    def test_foreign_json(self):
        text = "auto a = nlohmann::json::parse(t);\nauto b = Json::parse(t, nullptr, false);\n"
        self.assertEqual(lines(rules.foreign_json, "shared/bus/a.cc", text), [1, 2])
        self.assertEqual(lines(rules.foreign_json, "shared/base/json.cc", text), [])
        self.assertEqual(lines(rules.foreign_json, "test/unit/a.cc", text), [])

    def test_sleeping_tests(self):
        text = "std::this_thread::sleep_for(1s);\n"
        self.assertEqual(lines(rules.test_sleeps, "test/unit/a.cc", text), [1])
        self.assertEqual(lines(rules.test_sleeps, "shared/runtime/a.cc", text), [])
        endless = "while (!Ended()) usleep(1000);\n"
        self.assertEqual(lines(rules.test_sleeps, "test/unit/a.cc", endless), [1])
        bounded = ("while (!Ended()) {\n  if (clock() > deadline) return false;\n"
                   "  usleep(1000);\n}\n")
        self.assertEqual(lines(rules.test_sleeps, "test/unit/a.cc", bounded), [])


class Protos(unittest.TestCase):
    def test_comments(self):
        text = ("// A message.\nmessage A {\n  // Unit.\n  int64 a_ns = 1;\n  string b = 2;\n"
                "  string c = 3;  // Behind.\n  map<string, string> d = 4;\n  reserved 5 to 9;\n}\n"
                "message B {}\n")
        self.assertEqual(lines(rules.proto_comments, "a.proto", text), [5, 7, 10])

    def test_enum_zero(self):
        good = "enum E {\n  // Unset.\n  E_UNSPECIFIED = 0;\n  E_A = 1;\n}\n"
        self.assertEqual(lines(rules.proto_enum_zero, "a.proto", good), [])
        bad = good.replace("_UNSPEC", "_X")
        self.assertEqual(lines(rules.proto_enum_zero, "a.proto", bad), [3])

    def test_schema_reads_what_protoc_says(self):
        text = ('file {\n  package: "p"\n  message_type {\n    name: "M"\n    field {\n'
                '      name: "f"\n      number: 3\n      label: LABEL_REPEATED\n'
                '      type: TYPE_INT64\n    }\n    reserved_range {\n      start: 4\n'
                '      end: 7\n    }\n  }\n  enum_type {\n    name: "E"\n    value {\n'
                '      name: "E_UNSPECIFIED"\n      number: 0\n    }\n  }\n}\n')
        self.assertEqual(schema.schema(text).splitlines(), [
            "p.E   0 value E_UNSPECIFIED", "p.M     message", "p.M   3 repeated int64 f",
            "p.M   4 reserved 4 to 6"])


class Tree(unittest.TestCase):
    def test_listed_in_cmake(self):
        cmake = {"shared/base": "cube_library(b SOURCES error.cc)\n# time.cc\n",
                 "": "add_library(x shared/other/y.cc)"}
        self.assertEqual(lines(rules.listed_in_cmake, "shared/base/error.cc", "", cmake), [])
        self.assertEqual(lines(rules.listed_in_cmake, "shared/other/y.cc", "", cmake), [])
        self.assertEqual(lines(rules.listed_in_cmake, "shared/base/time.cc", "", cmake), [1])
        self.assertEqual(lines(rules.listed_in_cmake, "shared/base/ror.cc", "", cmake), [1])

    def test_held_by(self):
        files, names = {"test/unit/a_test.cc"}, {"Fence.StaleManagerIsRefused"}
        good = "*Held by:* `test/unit/a_test.cc`, `Fence.StaleManagerIsRefused`\n"
        self.assertEqual(lines(rules.held_by, "docs/adr/1.md", good, files, names), [])
        bad = "text\n*Held by:* `test/unit/b_test.cc`\n"
        self.assertEqual(lines(rules.held_by, "docs/adr/1.md", bad, files, names), [2])
        self.assertEqual(lines(rules.held_by, "docs/adr/1.md", "nothing\n", files, names), [1])
        self.assertEqual(lines(rules.held_by, "docs/adr/1.md", "*Held by:* a\n", files, names), [1])

    def test_test_names(self):
        names = tidy.test_names({
            "a.cc": "TEST(Suite, One) {}\nTEST_P(Contract, Two) {}\n",
            "CMakeLists.txt": "cube_test(a_test LABEL unit)\nadd_test(NAME tidy COMMAND x)\n"})
        self.assertLessEqual({"Suite.One", "Contract.Two", "Suite", "a_test", "tidy"}, names)

    def test_findings_name_file_and_line(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            bad = root / "shared/base/bad.cc"
            bad.parent.mkdir(parents=True)
            bad.write_text("int a;\nstd::mutex m;\n")
            found = list(tidy.findings(root))
        self.assertEqual(len(found), 2, found)
        self.assertTrue(found[0].startswith("shared/base/bad.cc:2: 'std::mutex'"), found)
        self.assertTrue(found[1].startswith("shared/base/bad.cc:1: no CMakeLists.txt"), found)


class Parity(unittest.TestCase):
    HELP = "---- cube ps --help\n  -a, --all   finished tasks too\n---- cube node ls --help\n"

    def test_commands(self):
        helps = parity.helps_of(self.HELP)
        for good in ("cube ps", "cube ps -a web", "cube ps --all", "cube node ls"):
            self.assertEqual(parity.command_fault(good.split(), helps), "", good)
        for bad in ("cube pz", "cube ps --al", "cube node rm"):
            self.assertNotEqual(parity.command_fault(bad.split(), helps), "", bad)

    def test_cases(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "test/support").mkdir(parents=True)
            (root / "test/support/contract.h").write_text("TYPED_TEST_P(Contract, Two) {}\n")
            (root / "test/a_test.cc").write_text('#include "test/support/contract.h"\n'
                                                 "TEST(A, One) {}\nTEST(A, DISABLED_Off) {}\n")
            (root / "test/b_test.py").write_text(
                "class Both:\n  def test_x(self): pass\nclass B(Both): pass\nclass C(Both): pass\n")
            (root / "test/CMakeLists.txt").write_text(
                "cube_test(a_test LABEL unit SOURCES a_test.cc)\n"
                "cube_e2e_test(e2e_b_test FILE b_test TIMEOUT 1 TESTS B)\n")
            tests = parity.Tests(root, {"a_test", "e2e_b_test", "tidy"})
            for good in ("a_test A.One Contract.Two", "e2e_b_test B.test_x", "tidy"):
                self.assertEqual(tests.fault(good.split()), "", good)
            for bad in ("c_test", "a_test A.Off", "a_test A.Two", "e2e_b_test C.test_x",
                        "e2e_b_test B.test_y", "tidy A.One"):
                self.assertNotEqual(tests.fault(bad.split()), "", bad)

    def test_rows(self):
        row = "| {} | x | {} | means | {} |\n"
        text = "".join(row.format(n, "+" if n > 66 else "1, 2", "`tidy`") for n in range(1, 101))
        tests = parity.Tests(pathlib.Path("/nowhere"), {"tidy"})

        def found(old, new):
            self.assertIn(old, text)
            return list(parity.findings(text.replace(old, new, 1), tests, {}))
        self.assertEqual(found("| 1 |", "| 1 |"), [])
        self.assertEqual(len(found("`tidy`", "nothing")), 1)
        self.assertEqual(len(found("`tidy`", "`tidier`")), 1)
        self.assertEqual(len(found("| 7 |", "| 8 |")), 1)
        self.assertEqual(len(found("| + |", "| 3 |")), 1)
        self.assertEqual(len(found("means", "*Not yet*")), 1)
        self.assertEqual(len(found(" | means", " means")), 1)


if __name__ == "__main__":
    unittest.main()
