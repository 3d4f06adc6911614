module example.com/course/stage1

go 1.26.0
