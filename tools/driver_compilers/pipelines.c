// Makes a compute pipeline of every SPIR-V file of a list and prints what the driver says of each, one JSON object a line.
//
//   pipelines LIST      LIST: a text file with one path a line
//
// Each file has a process and a device of its own, since a shader can crash or hang a compiler: the next one still runs.

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

enum { STORAGE_BUFFERS = 8, MOST_EXECUTABLES = 4, MOST_STATISTICS = 64, SECONDS_A_FILE = 120 };

static const char *current_file;

static void fail(const char *what, int code) {
    printf("{\"file\": \"%s\", \"error\": \"%s: %d\"}\n", current_file, what, code);
    fflush(stdout);
    _exit(1);
}

static void check(VkResult result, const char *what) {
    if (result != VK_SUCCESS) {
        fail(what, result);
    }
}

static VkPhysicalDevice first_device(void) {
    VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3 };
    VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
    VkInstance instance;
    check(vkCreateInstance(&info, NULL, &instance), "vkCreateInstance");
    uint32_t count = 1;
    VkPhysicalDevice device = NULL;
    VkResult result = vkEnumeratePhysicalDevices(instance, &count, &device);
    if (result < 0 || count == 0) {
        fail("no device", result);
    }
    return device;
}

// A device with all features, as wgpu's has those that matter here: above all robustBufferAccess2. And with statistics.
static VkDevice make_device(VkPhysicalDevice physical) {
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR };
    VkPhysicalDeviceRobustness2FeaturesEXT robustness = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT, .pNext = &executables };
    VkPhysicalDeviceVulkan13Features of_1_3 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &robustness };
    VkPhysicalDeviceVulkan12Features of_1_2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &of_1_3 };
    VkPhysicalDeviceVulkan11Features of_1_1 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &of_1_2 };
    VkPhysicalDeviceFeatures2 of_1_0 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &of_1_1 };
    vkGetPhysicalDeviceFeatures2(physical, &of_1_0);
    robustness.nullDescriptor = VK_FALSE; // it costs code, and wgpu leaves it off

    const char *names[] = {
        VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME };
    float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority };
    VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &of_1_0,
        .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
        .enabledExtensionCount = 2, .ppEnabledExtensionNames = names };
    VkDevice device;
    check(vkCreateDevice(physical, &info, NULL, &device), "vkCreateDevice");
    return device;
}

// Every kernel's parameters are binding 0, with a dynamic offset, and its buffers are those from 1 on. One layout fits all.
static VkPipelineLayout make_layout(VkDevice device) {
    VkDescriptorSetLayoutBinding bindings[STORAGE_BUFFERS + 1];
    for (uint32_t i = 0; i <= STORAGE_BUFFERS; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){ .binding = i, .descriptorCount = 1,
            .descriptorType = i ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT };
    }
    VkDescriptorSetLayoutCreateInfo set_info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = STORAGE_BUFFERS + 1, .pBindings = bindings };
    VkDescriptorSetLayout set;
    check(vkCreateDescriptorSetLayout(device, &set_info, NULL, &set), "vkCreateDescriptorSetLayout");
    VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set };
    VkPipelineLayout layout;
    check(vkCreatePipelineLayout(device, &info, NULL, &layout), "vkCreatePipelineLayout");
    return layout;
}

static VkShaderModule load(VkDevice device, const char *path) {
    static uint32_t words[1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail("cannot open the file", 0);
    }
    size_t bytes = fread(words, 1, sizeof words, file);
    fclose(file);
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words };
    VkShaderModule module;
    check(vkCreateShaderModule(device, &info, NULL, &module), "vkCreateShaderModule");
    return module;
}

static void print_value(const VkPipelineExecutableStatisticKHR *s) {
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: printf("%u", s->value.b32); break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: printf("%lld", (long long)s->value.i64); break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: printf("%llu", (unsigned long long)s->value.u64); break;
    default: printf("%g", s->value.f64); break;
    }
}

static void print_executables(VkDevice device, VkPipeline pipeline) {
    PFN_vkGetPipelineExecutablePropertiesKHR properties_of =
        (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutablePropertiesKHR");
    PFN_vkGetPipelineExecutableStatisticsKHR statistics_of =
        (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutablePropertiesKHR executables[MOST_EXECUTABLES] = { 0 };
    for (uint32_t i = 0; i < MOST_EXECUTABLES; i++) {
        executables[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    }
    VkPipelineInfoKHR info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline };
    uint32_t count = MOST_EXECUTABLES;
    properties_of(device, &info, &count, executables);
    for (uint32_t i = 0; i < count; i++) {
        VkPipelineExecutableStatisticKHR all[MOST_STATISTICS] = { 0 };
        for (uint32_t j = 0; j < MOST_STATISTICS; j++) {
            all[j].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
        }
        VkPipelineExecutableInfoKHR which = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = i };
        uint32_t statistics = MOST_STATISTICS;
        statistics_of(device, &which, &statistics, all);
        printf("%s{\"name\": \"%s\", \"subgroup_size\": %u", i ? ", " : "", executables[i].name,
            executables[i].subgroupSize);
        for (uint32_t j = 0; j < statistics; j++) {
            printf(", \"%s\": ", all[j].name);
            print_value(&all[j]);
        }
        printf("}");
    }
}

static void compile(const char *path) {
    VkPhysicalDevice physical = first_device();
    VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver };
    vkGetPhysicalDeviceProperties2(physical, &properties);
    VkDevice device = make_device(physical);
    VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR, .layout = make_layout(device) };
    // The flag is wgpu's: the driver is free to choose the lanes of a subgroup.
    info.stage = (VkPipelineShaderStageCreateInfo){ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
        .flags = VK_PIPELINE_SHADER_STAGE_CREATE_ALLOW_VARYING_SUBGROUP_SIZE_BIT,
        .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = load(device, path), .pName = "main" };
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    VkPipeline pipeline;
    check(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline), "vkCreateComputePipelines");
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    printf("{\"file\": \"%s\", \"device\": \"%s\", \"driver\": \"%s\", \"compile_ms\": %.1f, \"executables\": [", path,
        properties.properties.deviceName, driver.driverInfo, ms);
    print_executables(device, pipeline);
    printf("]}\n");
}

int main(int argc, char **argv) {
    FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!list) {
        fprintf(stderr, "usage: pipelines LIST\n");
        return 2;
    }
    static char path[4096];
    while (fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = 0;
        current_file = path;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(SECONDS_A_FILE);
            compile(path);
            fflush(stdout);
            _exit(0); // the drivers' own clean-up is not needed, and it can crash without a GPU
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) {
            printf("{\"file\": \"%s\", \"error\": \"signal %d\"}\n", path, WTERMSIG(status));
        }
    }
    return 0;
}
