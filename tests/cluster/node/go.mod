module kedactl.test/node

go 1.24
