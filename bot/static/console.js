// Small comforts; every page works without them.
document.querySelectorAll("form[method=post]").forEach((form) => {
  // one press is enough: a second one while the first is under way is no second wish
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 3000);
  });
});
const fault = document.querySelector("[aria-invalid=true]");
if (fault) fault.focus();
