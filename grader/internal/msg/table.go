package msg

// table is every sentence of the grader's. Keys ending in .one are for a count of one.
var table = map[string]text{
	// Verdicts.
	"kata.broken":       {"This kata or the grader is at fault, not your code. Please report it with the lines below.", "问题出在这道练习或评判器，不在你的代码。请连同下面几行一起反馈。"},
	"kata.cached":       {"unchanged", "未改动"},
	"kata.failed":       {"not passed yet", "尚未通过"},
	"kata.open":         {"started, not checked yet", "已动手，尚未检查"},
	"kata.passedBefore": {"passed before, on %s", "曾于 %s 通过"},
	"kata.planned":      {"planned", "待编写"},
	"kata.untouched":    {"not started", "未开始"},

	"intents.all":         {"all %d intents", "%d 个考点全部通过"},
	"intents.all.one":     {"%d intent", "%d 个考点通过"},
	"intents.some":        {"%d of %d intents", "考点 %d/%d"},
	"intents.waiting":     {"%d intents wait until your code compiles", "%d 个考点要等代码能编译才能运行"},
	"intents.waiting.one": {"%d intent waits until your code compiles", "%d 个考点要等代码能编译才能运行"},

	"because.deadlock": {"deadlock", "死锁"},
	"because.exit":     {"the process ended early", "进程提前退出"},
	"because.grader":   {"fault of the grader", "评判器故障"},
	"because.leak":     {"goroutine leak", "goroutine 泄漏"},
	"because.output":   {"too much output", "输出过多"},
	"because.race":     {"data race", "数据竞争"},
	"because.skip":     {"skipped", "测试被跳过"},
	"because.timeout":  {"deadline exceeded", "超时"},

	"unchecked.race":  {"Data races were NOT checked: this verdict is weaker than it looks. `grader doctor` says what is missing.", "没有检查数据竞争：这个判定不完整。缺什么请看 `grader doctor`。"},
	"unchecked.other": {"NOT checked: %s. This verdict is weaker than it looks.", "没有检查：%s。这个判定不完整。"},
	"caveat.race":     {"%d katas were judged without the race detector.", "%d 道练习没有经过竞争检测。"},
	"caveat.race.one": {"%d kata was judged without the race detector.", "%d 道练习没有经过竞争检测。"},

	"output.more":      {"… %d more lines (--verbose)", "… 还有 %d 行（--verbose）"},
	"step":             {"Step %s: %s", "第 %s 步：%s"},
	"steps":            {"%d steps", "%d 步"},
	"steps.one":        {"%d step", "%d 步"},
	"untouched.some":   {"%d not started", "%d 道未开始"},
	"planned.some":     {"%d planned: on the roadmap, not written yet", "%d 道待编写：在路线图上，题目还没写好"},
	"item.simulated":   {"simulated", "模拟环境"},
	"item.partial":     {"in part", "部分通过"},
	"engine.real":      {"real: %s", "真实环境：%s"},
	"engine.embedded":  {"embedded: %s", "内嵌：%s"},
	"engine.simulated": {"SIMULATED: %s", "模拟：%s"},
	"engine.":          {"engine unknown%s", "运行环境未知%s"},

	"summary.katas":   {"katas", "练习"},
	"summary.intents": {"intents", "考点"},
	"summary.items":   {"items", "条目"},
	"count.passed":    {"%d passed", "通过 %d"},
	"count.failed":    {"%d failed", "未通过 %d"},
	"count.broken":    {"%d broken", "题目故障 %d"},
	"count.untouched": {"%d not started", "未开始 %d"},
	"count.notrun":    {"%d not run", "未运行 %d"},
	"count.partial":   {"%d in part", "部分通过 %d"},
	"count.open":      {"%d open", "未完成 %d"},
	"count.planned":   {"%d planned", "待编写 %d"},
	"count.total":     {"%d in all", "共 %d"},

	"next.passed":    {"compare with the reference: %s; go on: %s", "对照参考实现：%s；下一道：%s"},
	"next.hint":      {"stuck? %s", "卡住了？%s"},
	"next.untouched": {"read the brief: %s", "先读题：%s"},

	// Job summaries.
	"md.title":     {"roadkata: %d of %d katas passed", "roadkata：%[2]d 道练习通过 %[1]d 道"},
	"md.kata":      {"kata", "练习"},
	"md.katas":     {"katas", "练习"},
	"md.intents":   {"intents", "考点"},
	"md.engine":    {"runs against", "运行环境"},
	"md.item":      {"item", "条目"},
	"md.unchecked": {"not checked: %s", "没有检查：%s"},
	"md.broken":    {"broken: not your fault", "题目故障：不是你的错"},

	// list, show and where you stand.
	"list.strays":     {"not on the roadmap", "不在路线图上"},
	"level":           {"level %d of 3", "难度 %d/3"},
	"minutes":         {"%d min", "约 %d 分钟"},
	"status.items":    {"%d of %d items", "条目 %d/%d"},
	"status.current":  {"You work on", "正在做"},
	"status.next":     {"Next kata", "下一道"},
	"status.done":     {"Everything that stands here is passed. Well done!", "现有的练习全部通过，恭喜！"},
	"hints.taken":     {"%d hints taken", "已看 %d 条提示"},
	"hints.taken.one": {"%d hint taken", "已看 %d 条提示"},
}
