package msg

import "maps"

// The words of watch and of the authors' commands. verify itself speaks English:
// its readers write in both languages.
func init() {
	maps.Copy(table, map[string]text{
		"cmd.watch":      {"On every save: check, show, move on when it passes", "每次保存：检查、显示，通过后进入下一道"},
		"cmd.watch.long": {"Check the kata that you save, show the verdict, and move on to the next one of the selection when it passes.\nA check that still runs is given up. Where the file system does not notify of changes, the files are looked at\nseveral times a second; ROADKATA_WATCH=poll asks for that.", "你保存哪道练习就检查哪道，显示判定；通过后进入所选范围里的下一道。还没跑完的检查会被放弃。\n文件系统不通知改动时，每秒查看文件数次；ROADKATA_WATCH=poll 可以强制如此。"},

		"watch.start":     {"Watching %d katas. Save a file to check it; Ctrl-C ends.", "正在监视 %d 道练习。保存文件即检查；Ctrl-C 结束。"},
		"watch.start.one": {"Watching %d kata. Save a file to check it; Ctrl-C ends.", "正在监视 %d 道练习。保存文件即检查；Ctrl-C 结束。"},
		"watch.keys":      {"With Enter after it: n next kata, h hint, q quit; Enter alone checks again.", "输入后按回车：n 下一道，h 提示，q 退出；只按回车再检查一次。"},
		"watch.poll":      {"Looking at the files several times a second: %s.", "每秒查看文件数次：%s。"},
		"watch.on":        {"On to %s", "下一道：%s"},
		"watch.all":       {"Everything that you watch is passed. Well done!", "监视的练习全部通过，恭喜！"},

		"cmd.verify":      {"For authors and CI: hold katas to what makes their verdicts trustworthy", "给出题人和 CI：检验练习本身是否可信"},
		"cmd.verify.long": {"Hold katas to what makes their verdicts trustworthy: right solutions pass, the stub passes nothing, every reject is caught\nby the intent that it names, every intent has a reject that it alone catches, both languages are complete.\n\nExit codes: 0 all hold; 1 something is to mend; 2 wrong usage; 3 the grader is at fault.", "检验练习是否可信：正解全部通过，骨架什么也不通过，每个错解都被它指明的考点抓住，\n每个考点都有只被它抓住的错解，两种语言齐全。\n\n退出码：0 全部成立；1 有待修正；2 用法错误；3 评判器自身的问题。"},
		"flag.right":      {"only right solutions, not the rejects and the documents: for flakes and real servers", "只运行正解，不看错解和文档：用来找不稳定的测试、对照真实服务器"},
		"flag.count":      {"run right solutions `N` times in one process", "正解在一个进程里运行 `N` 次"},
		"flag.shuffle":    {"run the intents of right solutions in random order; `SEED` repeats one", "打乱正解的考点顺序；`SEED` 可重现某一次"},
		"flag.since":      {"select the katas that differ from the git revision `REF`", "选择与 git 版本 `REF` 不同的练习"},
		"flag.vformat":    {"`FORM` of the report: text or json (schema roadkata.verify/v1)", "报告的格式 `FORM`：text 或 json（格式 roadkata.verify/v1）"},
		"flag.matrix":     {"show which reject breaks which intent", "显示哪个错解违反哪个考点"},
		"err.count":       {"--count %d: want how often to run, at least 1", "--count %d：应为运行次数，至少 1"},
		"err.shuffle":     {"--shuffle=%s: want a number, or --shuffle alone", "--shuffle=%s：应为数字，或只写 --shuffle"},
		"verify.nothing":  {"no kata differs from %s; nothing to verify", "没有练习与 %s 不同，无需检验"},
		"verify.run":      {"verify: %d of %d runs done, %d s", "verify：已完成 %d/%d 次运行，%d 秒"},

		"cmd.new":      {"For authors: lay out a new kata", "给出题人：新建一道练习的框架"},
		"cmd.new.long": {"Lay out a new kata with every file that it needs and words on what belongs there. `grader verify` says what is still to be\nwritten. What exists is never changed.", "新建一道练习所需的全部文件，并说明每处该写什么；还缺什么由 `grader verify` 指出。已有的文件不会改动。"},
		"new.made":     {"%s is laid out:", "%s 的框架已建好："},
		"new.roadmap":  {"1. Name it on the roadmap. In %s, below the topic's items:", "1. 写进路线图。在 %s 里、该主题的 items 下面："},
		"new.planned":  {"1. The roadmap names it already (%s).", "1. 路线图里已经有它（%s）。"},
		"new.write":    {"2. Write the contract, the suite, the reference, rejects and an accept; CONTRIBUTING.md says how.", "2. 写约定、测试套件、参考实现、错解和另一个正解；写法见 CONTRIBUTING.zh-CN.md。"},
		"new.verify":   {"3. Until it says ok:  %s", "3. 反复运行，直到它说 ok：%s"},

		"cmd.deps":       {"For authors: keep in go.mod what only .kata imports", "给出题人：让 go.mod 保留只有 .kata 导入的依赖"},
		"cmd.deps.long":  {"Write internal/deps/deps.go of every module: blank imports of what only hidden suites and variants import, which\n`go mod tidy` would drop otherwise.", "写出每个模块的 internal/deps/deps.go：空导入那些只有隐藏测试套件和各变体才用到的包，否则 `go mod tidy` 会删掉它们。"},
		"flag.depscheck": {"write nothing; exit with 1 if a file is not what it should be", "不写文件；有文件不符时以 1 退出"},
		"deps.drift":     {"%s does not hold what .kata imports; `grader deps` writes it", "%s 与 .kata 的导入不符；用 `grader deps` 重新生成"},
		"deps.wrote":     {"wrote %s", "已写出 %s"},
		"deps.fine":      {"%d modules: nothing to change", "%d 个模块：无需改动"},
	})
}
