package grade

import (
	"regexp"
	"strings"
	"sync"
)

// sentences are the grader's own words in explanations and problems, in both
// languages; %s is anything, %d a number. What a learner's code or a suite says
// is not translated.
var sentences = []struct{ en, zh string }{
	{"it printed more than 16 MB and was stopped", "输出超过 16 MB，已被终止"},
	{"it did not come back: all goroutines wait (%s)", "没有返回：所有 goroutine 都在等待（%s）"},
	{"it did not come back before the deadline; is there an endless loop?", "在截止时间之前没有返回；是不是有死循环？"},
	{"goroutines are left blocked after the call has returned", "调用返回之后，仍有 goroutine 阻塞着"},
	{"goroutines are left running", "有 goroutine 还在运行"},
	{"the code called os.Exit(0)", "代码调用了 os.Exit(0)"},
	{"the process was ended by a signal: %s", "进程被信号终止：%s"},
	{"the process ended with status %d before the test did; does the code call os.Exit?", "测试还没结束，进程就以状态码 %d 退出了；代码里是不是调用了 os.Exit？"},
	{"the test failed without a message", "测试失败，没有给出信息"},
	{"the program did not reach its first test (func init? a package variable?): %s", "程序没有运行到第一个测试（是 func init 还是包级变量？）：%s"},
	{"not run: other intents used up the time", "未运行：时间被其他考点用完了"},
	{"not run: the problems of the files come first", "未运行：请先解决文件的问题"},
	{"not run: it needs the real server that %s names", "未运行：需要由 %s 指定的真实服务器"},
	{"not run: %s", "未运行：%s"},
	{"the race detector ended the process", "竞争检测器终止了进程"},
	{"the race detector reported while the intents ran together, though none of them shows it alone:\n%s", "所有考点一起运行时竞争检测器报告了竞争，单独运行却都没有出现：\n%s"},
	{"after the last intent: %s", "最后一个考点之后：%s"},
	{"the test was skipped; a skip is no pass", "测试被跳过；跳过不算通过"},
	{"there is no test: a suite needs at least one func TestXxx(t *testing.T)", "没有测试：测试套件至少要有一个 func TestXxx(t *testing.T)"},
	{"%s fails on a right implementation when all tests run twice in one process (state is left over): %s", "在同一进程里把测试跑两遍时，%s 在正确的实现上失败（有状态残留）：%s"},
	{"%s fails on a right implementation when the tests run in another order: %s", "测试换一种顺序运行时，%s 在正确的实现上失败：%s"},
	{"%s fails on a right implementation: %s", "%s 在正确的实现上失败：%s"},
	{"the tests ended badly on a right implementation: %s", "测试在正确的实现上异常结束：%s"},
	{"counts only once every right implementation is accepted", "所有正确的实现都被接受之后才算数"},
	{"your tests pass on this wrong implementation", "你的测试放过了这个错误的实现"},
	{"this kata is about doing without %s", "本练习要求不使用 %s"},
	{"the file is empty; `grader reset %s` brings the stub back (your file is kept as a backup)", "文件是空的；`grader reset %s` 会恢复骨架（你的文件会留作备份）"},
	{"the file is not UTF-8 here; save it as UTF-8", "这里不是 UTF-8；请把文件存为 UTF-8"},
	{"package %s; this file belongs to package %s", "package %s；这个文件属于 package %s"},
	{"your file %s is missing; `grader reset %s` brings the stub back", "你的文件 %s 不见了；`grader reset %s` 会恢复骨架"},
	{"your package no longer has the signatures that the contract gives: %s", "你的包不再具有约定里的签名：%s"},
	{"imports %s, which belongs to the suites", "导入了 %s，它属于测试套件"},
}

var patterns = sync.OnceValue(func() []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, s := range sentences {
		p := regexp.QuoteMeta(s.en)
		p = strings.ReplaceAll(strings.ReplaceAll(p, "%s", "(.*)"), "%d", `(-?\d+)`)
		out = append(out, regexp.MustCompile("(?s)^"+p+"$"))
	}
	return out
})

// Say returns one of the grader's own sentences in the language lang ("zh" or
// "en"), and anything else as it is.
func Say(text, lang string) string {
	if lang != "zh" {
		return text
	}
	for i, p := range patterns() {
		m := p.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		out := sentences[i].zh
		for _, part := range m[1:] {
			out = strings.Replace(strings.Replace(out, "%d", "%s", 1), "%s", strings.ReplaceAll(Say(part, lang), "%", "\x00"), 1)
		}
		return strings.ReplaceAll(out, "\x00", "%")
	}
	return text
}
