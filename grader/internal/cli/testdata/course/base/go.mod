module example.com/course/base

go 1.26.0
