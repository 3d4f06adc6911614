module example.com/course/peak

go 1.26.0
