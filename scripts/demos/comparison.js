// The slider says how much is shown as it was; a click says where, in shares of height and width.
let share = "50";

const show = () => {
  const stage = element.querySelector(".stage"), slider = element.querySelector("input");
  if (slider) slider.value = share;
  stage.style.setProperty("--share", share + "%");
};

element.addEventListener("input", (event) => {
  share = event.target.value;
  show();
});
element.addEventListener("click", (event) => {
  if (!event.target.matches(".stage img")) return;
  const box = event.target.getBoundingClientRect();
  trigger("select", {
    index: [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width],
    value: null,
  });
});
watch("value", show);
