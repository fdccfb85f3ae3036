//! The cases of `k8s.io/pod-security-admission`, which come with its module: each `pass` breaks no Pod Security rule, each
//! `fail` breaks the one that its name says. Run by `./test --cluster`, with `KEDACTL_POD_SECURITY_CASES` set to the folder
//! `test/testdata/restricted/v1.34`.

use std::path::Path;

use kedactl_lint::{lint, parse};

/// Start of a case's name, and the rule.
const RULES: &[(&str, &str)] = &[
    ("allowprivilegeescalation", "KL0111"),
    ("apparmorprofile", "KL0106"),
    ("base", ""),
    ("capabilities", "KL0112"),
    ("hostnamespaces", "KL0102"),
    ("hostpathvolumes", "KL0103"),
    ("hostports", "KL0104"),
    ("hostprobesandhostlifecycle", "KL0105"),
    ("privileged", "KL0101"),
    ("procmount", "KL0108"),
    ("restrictedvolumes", "KL0103"),
    ("runasnonroot", "KL0113"),
    ("runasuser", "KL0114"),
    ("seccompprofile", "KL0115"),
    ("selinuxoptions", "KL0107"),
    ("sysctls", "KL0109"),
    ("windowshostprocess", "KL0110"),
];

/// The Pod Security rules that a case breaks; 0116 and 0117 are about namespaces.
fn broken(path: &Path) -> Vec<&'static str> {
    let text = std::fs::read_to_string(path).expect("a case");
    let objects = parse(&path.display().to_string(), &text).expect("a case is YAML");
    let ids = lint(&objects).findings.into_iter().map(|it| it.rule.id);
    ids.filter(|id| ("KL0101"..="KL0115").contains(id))
        .collect()
}

#[test]
fn the_cases_of_the_standard_come_out_as_there() {
    let folder = std::env::var("KEDACTL_POD_SECURITY_CASES")
        .expect("KEDACTL_POD_SECURITY_CASES names the folder");
    let mut wrong = Vec::new();
    let mut counts = [0, 0];
    for (at, way) in ["pass", "fail"].into_iter().enumerate() {
        for entry in
            std::fs::read_dir(Path::new(&folder).join(way)).expect("the folder of the cases")
        {
            let path = entry.expect("a case").path();
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let rule = RULES.iter().find(|(start, _)| name.starts_with(start));
            let (_, rule) = rule.unwrap_or_else(|| panic!("no rule for the case {name}"));
            let broken = broken(&path);
            counts[at] += 1;
            if way == "pass" && !broken.is_empty() || way == "fail" && !broken.contains(rule) {
                wrong.push(format!("{way}/{name}: {broken:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        counts[0] > 10 && counts[1] > 50,
        "too few cases: {counts:?}"
    );
}
